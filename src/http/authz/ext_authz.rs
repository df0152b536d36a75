//! Envoy: the request itself, without its body, with its path behind a prefix.

use actix_web::http::header::HOST;
use actix_web::http::uri::PathAndQuery;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::{NoQuestion, Question, X_FORWARDED_PROTO, rule, single};
use crate::http::problem::Problem;
use crate::http::services::Services;

const PREFIX: &str = "/api/authz/ext-authz";

/// The path is taken as it stands on the wire, not as the router reads it; but for a `#` and
/// what follows, which is no part of a request's target (RFC 9110, 7.1), which Envoy refuses by
/// itself, and of which nothing arrives here.
pub(super) fn read(request: &HttpRequest) -> Result<Question<'_>, NoQuestion> {
    let uri = request.uri().path_and_query().map(PathAndQuery::as_str);
    let uri = uri.and_then(|uri| uri.strip_prefix(PREFIX));
    Question::new(
        request.method().as_str(),
        single(request.headers(), &X_FORWARDED_PROTO)?,
        single(request.headers(), &HOST)?,
        uri.ok_or(NoQuestion::Address)?,
    )
}

/// Whether a request may pass (Envoy)
///
/// Takes any method: that of the client's request, as `Host` is its host. From
/// `server.trusted_proxies` alone. The answer has the identity headers, each of them,
/// and the client's cookies without the session.
#[utoipa::path(
    get, path = "/api/authz/ext-authz/{path}", tag = "forward-auth",
    params(
        ("path" = String, Path, example = "notes", description = "Of the client's request, with its query"),
        ("X-Forwarded-Proto" = String, Header, example = "https"),
    ),
    responses(
        (status = 200, description = "It may"),
        (status = 302, description = "A page, but nobody is logged in: `Location` is where to"),
        (status = 403, description = "`forbidden`, `unclear_request`, `unknown_proxy`"),
    ),
    security(("session" = [])),
)]
pub async fn check_ext_authz(
    request: HttpRequest,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    Ok(rule(&request, &services, read).await?.or_redirect())
}
