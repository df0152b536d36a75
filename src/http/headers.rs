//! The headers of every answer.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

/// Of a page: nothing but its style sheet and its own forms.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                                      base-uri 'none'; frame-ancestors 'none'";

/// ASVS 3.4 and 14.3.2. An answer is for whoever asked, once; what has no content
/// security policy of its own is no page.
pub(super) fn set_headers(headers: &mut HeaderMap) {
    let always = [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
