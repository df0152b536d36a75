use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};

use crate::http::body::NoBody;
use crate::http::carrier::{HasEnded, Presented, carry_ended};
use crate::http::client::strangers_act;
use crate::http::problem::Problem;
use crate::http::services::Services;
use crate::sessions::Revoked;

/// Not `"cookies"`: that would take the cookies of every app on the domain.
pub(in crate::http) const CLEAR_SITE_DATA: (HeaderName, HeaderValue) = (
    HeaderName::from_static("clear-site-data"),
    HeaderValue::from_static("\"cache\", \"storage\""),
);

/// Log out
///
/// Done also without a session.
#[utoipa::path(
    post, path = "/api/logout", tag = "account",
    responses((status = 204, description = "The cookie is removed.")),
    security((), ("session" = [])),
)]
pub async fn delete_current_session(
    request: HttpRequest,
    services: Data<Services>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    log_out(&request, &services).await?;
    Ok(HttpResponse::NoContent()
        .insert_header(CLEAR_SITE_DATA)
        .finish())
}

pub(in crate::http) async fn log_out(
    request: &HttpRequest,
    services: &Services,
) -> Result<(), Problem> {
    if let Some(digest) = Presented::of(request) {
        let act = strangers_act(request, services);
        if services.sessions.log_out(digest, act).await? == Revoked::Done {
            request.extensions_mut().insert(HasEnded);
        }
    }
    carry_ended(request);
    Ok(())
}
