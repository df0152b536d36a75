//! `cors.*`: which other origins' pages may use the API.

use url::Origin;

use super::origin::parse_origin;
use super::reader::Reader;
use super::server::is_loopback;

#[derive(Clone)]
pub struct Cors {
    pub allowed_origins: Vec<Origin>,
}

impl Cors {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            allowed_origins: from.list(
                "cors.allowed_origins",
                "Origins whose pages may use the API as the user who is logged in, besides that \
                 of server.public_url",
                allowed_origin,
            ),
        }
    }
}

/// Over plain http, whoever is on the way could be any page.
fn allowed_origin(text: &str) -> Result<Origin, String> {
    parse_origin(text)
        .filter(|url| url.scheme() == "https" || is_loopback(url))
        .map(|url| url.origin())
        .ok_or_else(|| {
            "exact origins such as https://app.example.com, without a path and without *, each \
             https:// but on localhost"
                .to_owned()
        })
}
