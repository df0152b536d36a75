//! Requests that change something must come from our own pages, or from
//! something that is no browser. Decided by what browsers say of a request
//! (`Origin`, RFC 6454; `Sec-Fetch-Site`, Fetch Metadata; ASVS 3.5.1), so no
//! token and no anonymous cookie is needed.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, ORIGIN};

use crate::config::PublicUrl;

pub(super) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The origins of our own pages.
#[derive(Clone)]
pub(super) struct OwnOrigins(Arc<[String]>);

impl OwnOrigins {
    /// The public URL's origin; in development the spellings of the loopback
    /// address on the bound port as well.
    pub(super) fn new(public_url: &PublicUrl, bound_port: u16) -> Self {
        let mut origins = vec![public_url.origin()];
        if !public_url.is_https() {
            origins.extend(
                ["localhost", "127.0.0.1", "[::1]"]
                    .map(|host| format!("http://{host}:{bound_port}")),
            );
        }
        Self(origins.into())
    }

    pub(super) fn allow(&self, method: &Method, headers: &HeaderMap) -> bool {
        if method.is_safe() {
            return true;
        }
        let is_own_origin = all(headers, &ORIGIN, |origin| {
            self.0.iter().any(|own| own.as_bytes() == origin)
        });
        let is_same_site = all(headers, &SEC_FETCH_SITE, |site| {
            matches!(site, b"same-origin" | b"none")
        });
        is_own_origin && is_same_site
    }
}

/// Whether the request says where it comes from, as browsers make it.
pub(super) fn is_from_a_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE)
}

/// Whether every header of that name, if there is one, is as it should be.
fn all(headers: &HeaderMap, name: &HeaderName, is_right: impl Fn(&[u8]) -> bool) -> bool {
    headers
        .get_all(name)
        .all(|value| is_right(value.as_bytes()))
}
