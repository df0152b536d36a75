//! The headers of every answer.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

/// Of a page: nothing but its style sheet and its own forms.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                                      base-uri 'none'; frame-ancestors 'none'";

/// Of everything else.
const NO_PAGE_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// ASVS 3.4 and 14.3.2. An answer is for whoever asked, once; what has no content
/// security policy of its own is no page.
pub(super) fn set_headers(headers: &mut HeaderMap) {
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, NO_PAGE_POLICY);
    }
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
}
