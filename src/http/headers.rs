//! The headers of every answer, and what one asks for.

use actix_web::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use url::Origin;

macro_rules! page_policy {
    () => {
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    };
}

/// Of a page: nothing but our own style sheet, script and icon, and its forms.
pub(super) const PAGE_POLICY: HeaderValue =
    HeaderValue::from_static(concat!(page_policy!(), "; form-action 'self'"));

/// Of a page whose form may lead to other origins than ours: browsers hold a form to
/// its page's policy on every step of the way (CSP 3, 6.4.1.1).
pub(super) fn policy_leading_to<'a>(
    origins: impl Iterator<Item = &'a Origin>,
) -> Option<HeaderValue> {
    let mut policy = concat!(page_policy!(), "; form-action 'self'").to_owned();
    for origin in origins {
        policy.push(' ');
        policy.push_str(&origin.ascii_serialization());
    }
    policy.try_into().ok()
}

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

/// Browsers ask for HTML where a page is to be shown.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).filter_map(|it| it.to_str().ok());
    accepted
        .flat_map(|ranges| ranges.split(','))
        .any(|range| range.trim_start().starts_with("text/html"))
}
