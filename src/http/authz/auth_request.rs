//! nginx: the request is described in `X-Original-…` headers. Its `auth_request`
//! understands 2xx, 401 and 403; where to log in stands beside the 401.

use actix_web::http::header::{HeaderName, HeaderValue, LOCATION};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};

use super::{NoQuestion, Question, Ruling, rule, single};
use crate::http::problem::{Kind, Problem};
use crate::http::services::Services;

const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");

/// The address is taken apart and left as it is: a URL parser would clean its path.
pub(super) fn read(request: &HttpRequest) -> Result<Question<'_>, NoQuestion> {
    let method = single(request.headers(), &X_ORIGINAL_METHOD)?;
    let address = single(request.headers(), &X_ORIGINAL_URL)?;
    let (scheme, rest) = address.split_once(':').ok_or(NoQuestion::Address)?;
    let rest = rest.strip_prefix("//").ok_or(NoQuestion::Address)?;
    let slash = rest.find('/').ok_or(NoQuestion::Address)?;
    let (authority, uri) = rest.split_at(slash);
    Question::new(method, scheme, authority, uri)
}

/// Whether a request may pass (nginx)
///
/// Takes any method. From `server.trusted_proxies` alone. The answer has the identity
/// headers, each of them, and the client's cookies without the session.
#[utoipa::path(
    get, path = "/api/authz/auth-request", tag = "forward-auth",
    params(
        ("X-Original-Method" = String, Header, example = "GET", description = "Once, as the next"),
        ("X-Original-URL" = String, Header, example = "https://app.example.com/notes?page=2", description = "The whole address, as on the wire"),
    ),
    responses(
        (status = 200, description = "It may"),
        (status = 401, description = "Nobody is logged in. If a page was asked for, `Location` is where to"),
        (status = 403, description = "`forbidden`, `unclear_request`, `unknown_proxy`"),
    ),
    security(("session" = [])),
)]
pub async fn check_auth_request(
    request: HttpRequest,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    match rule(&request, &services, read).await? {
        Ruling::Pass(answer) => Ok(answer),
        Ruling::LogIn(link) => {
            let mut answer = Problem::from(Kind::Unauthenticated).error_response();
            let link = HeaderValue::try_from(link).map_err(Problem::internal)?;
            answer.headers_mut().insert(LOCATION, link);
            Ok(answer)
        }
    }
}
