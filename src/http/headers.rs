//! The headers of every answer, and what one asks for.

use actix_web::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use url::Origin;
use uuid::Uuid;

use crate::config::PublicUrl;
use crate::domain::id::RequestId;

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

/// Of a page: no window that it opens, or that opens it, gets hold of it unless it is one
/// of ours (HTML, 7.1.3).
pub(super) const ALONE: (HeaderName, HeaderValue) = (
    HeaderName::from_static("cross-origin-opener-policy"),
    HeaderValue::from_static("same-origin"),
);

/// Of everything else.
const NO_PAGE_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

const TWO_YEARS: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

const ALWAYS: [(HeaderName, HeaderValue); 3] = [
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// ASVS 3.4 and 14.3.2. An answer is for whoever asked, once, unless it says for how long
/// it may be kept; what has no content security policy of its own is no page.
pub(super) fn set_headers(headers: &mut HeaderMap) {
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, NO_STORE);
    }
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, NO_PAGE_POLICY);
    }
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
}

/// By which whoever asks and whoever looks it up speak of the same request.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) fn set_request_id(headers: &mut HeaderMap, id: Option<RequestId>) {
    let mut text = Uuid::encode_buffer();
    if let Some(id) = id
        && let Ok(value) = HeaderValue::from_str(id.as_uuid().hyphenated().encode_lower(&mut text))
    {
        headers.insert(X_REQUEST_ID, value);
    }
}

/// How browsers reach us.
#[derive(Clone, Copy)]
pub(super) enum Transport {
    /// In development, on this machine.
    Plain,
    Tls,
}

impl Transport {
    pub(super) fn of(public_url: &PublicUrl) -> Self {
        if public_url.is_https() {
            Self::Tls
        } else {
            Self::Plain
        }
    }

    /// A browser that has come by TLS once never comes without it again (RFC 6797;
    /// ASVS 3.4.1).
    pub(super) fn set_headers(self, headers: &mut HeaderMap) {
        if matches!(self, Self::Tls) {
            headers.insert(STRICT_TRANSPORT_SECURITY, TWO_YEARS);
        }
    }
}

/// Browsers ask for HTML where a page is to be shown.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    accepts(headers, "text/html")
}

pub(super) fn accepts_event_stream(headers: &HeaderMap) -> bool {
    accepts(headers, "text/event-stream")
}

fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let accepted = headers.get_all(ACCEPT).filter_map(|it| it.to_str().ok());
    accepted.flat_map(|ranges| ranges.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_it = parts
            .next()
            .is_some_and(|it| it.eq_ignore_ascii_case(media_type));
        // Weighed with nothing, it is refused (RFC 9110, 12.4.2).
        is_it && !parts.any(|part| part == "q=0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_accepted_by_its_whole_name() {
        for (accept, is_accepted) in [
            ("text/event-stream", true),
            ("TEXT/Event-Stream", true),
            ("application/json, text/event-stream;q=0.9", true),
            ("text/event-stream;q=0", false),
            ("text/event-streamx", false),
            ("*/*", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(accepts_event_stream(&headers), is_accepted, "{accept}");
        }
    }
}
