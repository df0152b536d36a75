//! What holds for every request, whatever its route: limits on its size and
//! time, the cross-site rule, and the headers of every answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING, UPGRADE, VARY,
};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, BytesMut, Data};
use futures_util::StreamExt as _;

use super::headers::set_headers;
use super::problem::{Kind, Problem};
use super::services::Services;

const MAX_URI: usize = 8 * 1024;
const MAX_HEADERS: usize = 16 * 1024;
const MAX_BODY: usize = 64 * 1024;

/// How long an answer may take once the request has arrived.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Duration);

impl Deadline {
    pub(super) const USUAL: Self = Self(Duration::from_millis(1900));
    /// For what ends sessions one by one, however many.
    pub(super) const BULK: Self = Self(Duration::from_millis(29_900));
    /// For what verifies or sets a password.
    pub(super) const HASHING: Self = Self(Duration::from_millis(4900));
}

/// When the answer must have been given.
#[derive(Clone, Copy)]
pub(super) struct Until(pub(super) Instant);

/// The request's body, read whole; none is left with the request if it is empty.
#[derive(Clone, Default)]
pub(super) struct Body(pub(super) Bytes);

pub(super) async fn guard<B: MessageBody + 'static>(
    services: Data<Services>,
    deadline: Deadline,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, actix_web::Error> {
    let mut payload = request.take_payload();
    let admitted = admit(&services, &mut request, &mut payload).await;
    let rest = admitted.is_err().then_some(payload);
    finish(admitted, rest, deadline, request, next).await
}

/// For checks, which change nothing: method and origin are those of the request that
/// is asked about, and so is a body that is announced, whether or not it comes.
pub(super) async fn guard_check<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, actix_web::Error> {
    let admitted = limit(&request);
    let rest = match request.take_payload() {
        Payload::None => None,
        rest => Some(rest),
    };
    let mut response = finish(admitted, rest, Deadline::USUAL, request, next).await?;
    let vary = HeaderValue::from_static("Cookie");
    response.headers_mut().insert(VARY, vary);
    Ok(response)
}

async fn finish<B: MessageBody + 'static>(
    admitted: Result<(), Problem>,
    rest: Option<Payload>,
    deadline: Deadline,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, actix_web::Error> {
    let is_tunnel = is_tunnel(&request);
    let mut response = match admitted {
        Ok(()) => answer(deadline, request, next).await?,
        Err(problem) => request.error_response(problem),
    };
    if let Some(rest) = rest {
        response = response.map_body(|_, answer| Early { answer, rest }.boxed());
    }
    set_headers(response.headers_mut());
    if is_tunnel {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// An answer before the request's body has ended. Actix reads on what nobody holds any
/// more, for as long as the client likes; while somebody holds it, the connection is
/// closed after the answer.
pub(super) struct Early<T> {
    pub(super) answer: BoxBody,
    /// The rest of the request, or what holds it.
    #[expect(dead_code, reason = "held for as long as the answer is given")]
    pub(super) rest: T,
}

impl<T: Unpin> MessageBody for Early<T> {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(context)
    }
}

/// Nothing may hold on to the request meanwhile: middleware further in changes it.
async fn answer<B: MessageBody + 'static>(
    deadline: Deadline,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, actix_web::Error> {
    request
        .extensions_mut()
        .insert(Until(Instant::now() + deadline.0));
    match tokio::time::timeout(deadline.0, next.call(request)).await {
        Ok(answered) => Ok(answered?.map_into_boxed_body()),
        Err(passed) => Err(Problem::unavailable(passed).into()),
    }
}

/// Whether actix takes all that follows the head for the bytes of a tunnel. We
/// open none: an upgrade we do not speak is passed over (RFC 9110, 7.8), and
/// nothing that follows on the connection is read as a request.
fn is_tunnel(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    let is_websocket = |value: &HeaderValue| {
        value
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"websocket")
    };
    let asks_for_one =
        request.method() == Method::CONNECT || headers.get_all(UPGRADE).any(is_websocket);
    asks_for_one && !headers.contains_key(TRANSFER_ENCODING)
}

fn limit(request: &ServiceRequest) -> Result<(), Problem> {
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > MAX_URI {
        return Err(Kind::UriTooLong.into());
    }
    if size(request.headers()) > MAX_HEADERS {
        return Err(Kind::HeadersTooLarge.into());
    }
    Ok(())
}

async fn admit(
    services: &Services,
    request: &mut ServiceRequest,
    payload: &mut Payload,
) -> Result<(), Problem> {
    limit(request)?;
    if !services
        .own_origins
        .allow(request.method(), request.headers())
    {
        return Err(Kind::CsrfFailed.into());
    }
    let body = tokio::time::timeout(services.body_timeout, read_body(request, payload))
        .await
        .map_err(|_| Kind::RequestTimeout)??;
    if !body.is_empty() {
        request.extensions_mut().insert(Body(body));
    }
    Ok(())
}

/// As the headers stand on the wire: `name: value\r\n`.
fn size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

async fn read_body(request: &ServiceRequest, payload: &mut Payload) -> Result<Bytes, Kind> {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(Kind::ContentTooLarge);
    }
    let end_of_tunnel = is_tunnel(request).then_some(announced.unwrap_or(0));
    let mut body = BytesMut::new();
    while end_of_tunnel.is_none_or(|end| (body.len() as u64) < end) {
        let Some(chunk) = payload.next().await else {
            break;
        };
        let chunk = chunk.map_err(|_| Kind::MalformedJson)?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Kind::ContentTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    if let Some(end) = end_of_tunnel {
        body.truncate(usize::try_from(end).unwrap_or(MAX_BODY));
    }
    Ok(body.freeze())
}
