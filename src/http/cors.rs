//! CORS (Fetch, 3.2): pages of `cors.allowed_origins` use the API as the user who is
//! logged in. Nobody else is told anything that a browser would act on, and neither are
//! the pages and forward-auth: what they answer is for no script.

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use url::Origin;

/// What a page may read beside what any page may (Fetch, "CORS-safelisted response-header
/// name").
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after, x-request-id");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static("content-type");
/// In seconds: an origin taken off the list is soon refused everywhere.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins whose pages may use the API.
pub(super) struct Cors(Vec<HeaderValue>);

/// Whom an answer may be shown to.
pub(super) enum Audience {
    /// Nobody but our own pages, whoever asks.
    Own,
    /// An origin that may use the API, if the request comes from one.
    Api(Option<HeaderValue>),
}

impl Cors {
    pub(super) fn new(allowed: &[Origin]) -> Self {
        let values = allowed
            .iter()
            .filter_map(|origin| origin.ascii_serialization().try_into().ok());
        Self(values.collect())
    }

    pub(super) fn audience(&self, request: &ServiceRequest) -> Audience {
        let path = request.path();
        if self.0.is_empty() || !path.starts_with("/api/") || path.starts_with("/api/authz/") {
            return Audience::Own;
        }
        Audience::Api(self.allowed_origin(request.headers()).cloned())
    }

    /// The origin that a request comes from, if it is one of these.
    pub(super) fn allowed_origin<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let mut origins = headers.get_all(ORIGIN);
        match (origins.next(), origins.next()) {
            (Some(origin), None) if self.0.contains(origin) => Some(origin),
            _ => None,
        }
    }
}

impl Audience {
    pub(super) const fn is_allowed_origin(&self) -> bool {
        matches!(self, Self::Api(Some(_)))
    }

    /// The answer to a browser that asks, for an allowed origin, what it may send.
    pub(super) fn preflight(&self, request: &ServiceRequest) -> Option<HttpResponse> {
        let asks = request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        (asks && self.is_allowed_origin()).then(|| {
            HttpResponse::NoContent()
                .insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS))
                .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, HEADERS))
                .insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE))
                .finish()
        })
    }

    pub(super) fn set_headers(&self, headers: &mut HeaderMap) {
        let Self::Api(origin) = self else {
            return;
        };
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}
