//! `cookie.*`: who gets the session cookie.

use super::reader::Reader;

#[derive(Clone)]
pub struct Cookie {
    /// Left out, the cookie belongs to one host alone.
    pub domain: Option<String>,
    pub same_site: SameSite,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    Lax,
    Strict,
}

impl Cookie {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            domain: from.optional(
                "cookie.domain",
                "Shares the cookie with all hosts of a domain, such as example.com",
                |text| {
                    let is_label = |label: &str| {
                        !label.is_empty()
                            && label
                                .bytes()
                                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                    };
                    if text.contains('.') && text.split('.').all(is_label) {
                        Ok(text.to_owned())
                    } else {
                        Err("a domain in lower case such as example.com".to_owned())
                    }
                },
            ),
            same_site: from.value(
                "cookie.same_site",
                "lax",
                "lax or strict",
                |text| match text {
                    "lax" => Ok(SameSite::Lax),
                    "strict" => Ok(SameSite::Strict),
                    _ => Err("lax or strict".to_owned()),
                },
            ),
        }
    }
}
