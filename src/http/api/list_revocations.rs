use std::convert::Infallible;

use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use actix_web::http::{Method, Version};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{Stream, empty};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::revocation::Position;
use crate::http::bearer::Verifier;
use crate::http::body::{Fields, Query, given};
use crate::http::connection::Requests;
use crate::http::feed::{Opened, RevocationsBody};
use crate::http::headers::accepts_event_stream;
use crate::http::problem::{Kind, Problem};
use crate::http::services::Services;

const PAGE: u16 = 1000;

const EVENT_STREAM: &str = "text/event-stream";

/// Where a stream goes on (HTML, 9.2.4).
const LAST_EVENT_ID: &str = "last-event-id";

/// Has nginx pass on each event as it comes.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// The last entry that is known, by its number, with a hyphen and its mark if that is
    /// known. Left out: all that a JWT of now can be about.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String)]
    after: Option<String>,
}

/// What has been revoked, for services that verify JWTs
///
/// A page of the revocation log; with `Accept: text/event-stream`, all of it from there
/// on, as it grows.
#[utoipa::path(
    get, path = "/api/revocations", tag = "revocations", params(Parameters),
    responses((status = 200, content(
        (RevocationsBody = "application/json"),
        (String = "text/event-stream"),
    ))), security(("service" = [])),
)]
pub async fn list_revocations(
    _: Verifier,
    request: HttpRequest,
    services: Data<Services>,
    Query(parameters): Query<Parameters>,
) -> Result<HttpResponse, Problem> {
    // Nobody before HTTP/1.1 can tell chunks from what is in them (RFC 9112, 6.1).
    let takes_chunks = request.version() >= Version::HTTP_11;
    if !(takes_chunks && accepts_event_stream(request.headers())) {
        let after = position("after", parameters.after.as_ref())?;
        return page(&services, after).await;
    }
    let after = match last_event_id(request.headers()) {
        Some(id) => position(LAST_EVENT_ID, Some(&id))?,
        None => position("after", parameters.after.as_ref())?,
    };
    let requests = request.conn_data::<Requests>();
    let under_way = requests.map(Requests::begin);
    match services.feed.open(after, under_way).await? {
        // Actix would send the body to its end.
        Opened::Stream(_) if request.method() == Method::HEAD => Ok(event_stream(empty())),
        Opened::Stream(events) => {
            requests.map(Requests::begin_stream);
            Ok(event_stream(events))
        }
        Opened::UnknownPosition => Err(Kind::UnknownPosition.into()),
        Opened::Closed => Err(Kind::Unavailable.into()),
    }
}

async fn page(services: &Services, after: Option<Position>) -> Result<HttpResponse, Problem> {
    let lasts = services.sessions.is_fresh_for();
    let extract = services.feed.read(after, PAGE).await?;
    let extract = extract.ok_or(Kind::UnknownPosition)?;
    Ok(HttpResponse::Ok().json(RevocationsBody::new(&extract, lasts)))
}

fn event_stream(events: impl Stream<Item = Result<Bytes, Infallible>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, EVENT_STREAM))
        .insert_header(UNBUFFERED)
        .force_close()
        .streaming(events)
}

fn position(field: &'static str, given: Option<&String>) -> Result<Option<Position>, Problem> {
    let mut fields = Fields::default();
    let position = fields.optional(field, given, Position::parse);
    fields.finish()?;
    Ok(position)
}

fn last_event_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(LAST_EVENT_ID)?.as_bytes();
    (!id.is_empty()).then(|| String::from_utf8_lossy(id).into_owned())
}
