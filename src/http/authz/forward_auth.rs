//! Traefik, Caddy, HAProxy: the request is described in `X-Forwarded-…` headers.

use actix_web::http::header::HeaderName;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::{NoQuestion, Question, X_FORWARDED_PROTO, rule, single};
use crate::http::problem::Problem;
use crate::http::services::Services;

const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

pub(super) fn read(request: &HttpRequest) -> Result<Question<'_>, NoQuestion> {
    let header = |name| single(request.headers(), name);
    Question::new(
        header(&X_FORWARDED_METHOD)?,
        header(&X_FORWARDED_PROTO)?,
        header(&X_FORWARDED_HOST)?,
        header(&X_FORWARDED_URI)?,
    )
}

/// Whether a request may pass (Traefik, Caddy, HAProxy)
///
/// Takes any method. From `server.trusted_proxies` alone. The answer has the identity
/// headers, each of them, and the client's cookies without the session.
#[utoipa::path(
    get, path = "/api/authz/forward-auth", tag = "forward-auth",
    params(
        ("X-Forwarded-Method" = String, Header, example = "GET", description = "Once, as the next three"),
        ("X-Forwarded-Proto" = String, Header, example = "https"),
        ("X-Forwarded-Host" = String, Header, example = "app.example.com"),
        ("X-Forwarded-Uri" = String, Header, example = "/notes?page=2", description = "Path and query, as on the wire"),
    ),
    responses(
        (status = 200, description = "It may"),
        (status = 302, description = "A page, but nobody is logged in: `Location` is where to"),
        (status = 403, description = "`forbidden`, `unclear_request`, `unknown_proxy`"),
    ),
    security(("session" = [])),
)]
pub async fn check_forward_auth(
    request: HttpRequest,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    Ok(rule(&request, &services, read).await?.or_redirect())
}
