//! Where a browser may be sent after a log-in: to our own origin, or to one that
//! `authz.allowed_return_origins` lists (ASVS 3.7.2).

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use url::{Origin, Url};

use super::headers::policy_leading_to;
use crate::config::PublicUrl;

/// The longest address, in bytes: the link to the log-in page must not be too long
/// itself.
pub(super) const LONGEST: usize = 2000;

#[derive(Clone)]
pub(super) struct ReturnOrigins {
    own: Arc<Url>,
    allowed: Arc<[Origin]>,
}

impl ReturnOrigins {
    pub(super) fn new(public_url: &PublicUrl, others: &[Origin]) -> Self {
        let own = public_url.url().clone();
        let allowed = others.iter().cloned().chain([own.origin()]);
        Self {
            allowed: allowed.collect(),
            own: own.into(),
        }
    }

    /// The address that a browser on our own origin would go to by `target`, whole
    /// and as browsers write it (WHATWG URL), if it may be sent there.
    pub(super) fn accept(&self, target: &str) -> Option<String> {
        if target.len() > LONGEST || target.chars().any(char::is_control) {
            return None;
        }
        let address = self.own.join(target).ok()?;
        let is_allowed = matches!(address.scheme(), "http" | "https")
            && address.username().is_empty()
            && address.password().is_none()
            && self.allowed.contains(&address.origin());
        is_allowed.then(|| address.into())
    }

    /// The same, without our own origin: in development a browser may know us by
    /// another spelling of it.
    pub(super) fn way_back(&self, target: &str) -> Option<String> {
        let address = self.accept(target)?;
        let origin = self.own.origin().ascii_serialization();
        let path = address.strip_prefix(&origin);
        let is_plain = |path: &&str| path.starts_with('/') && !path.starts_with("//");
        Some(path.filter(is_plain).unwrap_or(&address).to_owned())
    }

    /// Lets the form on a page lead to wherever a log-in may lead.
    pub(super) fn allow_in(&self, mut page: HttpResponse) -> HttpResponse {
        let own = self.own.origin();
        let others = self.allowed.iter().filter(|origin| **origin != own);
        if let Some(policy) = policy_leading_to(others) {
            page.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://auth.example.com";

    fn accept(target: &str) -> Option<String> {
        let own = Url::parse(OWN).unwrap();
        let app = Url::parse("https://app.example.com").unwrap().origin();
        let origins = ReturnOrigins {
            allowed: [own.origin(), app].into(),
            own: own.into(),
        };
        origins.accept(target)
    }

    #[test]
    fn what_leads_to_an_allowed_origin_is_written_whole() {
        for (target, address) in [
            ("", "https://auth.example.com/"),
            ("/", "https://auth.example.com/"),
            (
                "/account?tab=1#names",
                "https://auth.example.com/account?tab=1#names",
            ),
            ("account", "https://auth.example.com/account"),
            ("https:/account", "https://auth.example.com/account"),
            (
                "https:evil.example",
                "https://auth.example.com/evil.example",
            ),
            ("//app.example.com/a b", "https://app.example.com/a%20b"),
            ("\\\\app.example.com\\a", "https://app.example.com/a"),
            (
                "HTTPS://APP.example.com:443/é",
                "https://app.example.com/%C3%A9",
            ),
            (
                "https://app.example.com/a?b=//evil.example",
                "https://app.example.com/a?b=//evil.example",
            ),
            ("https://app。example.com", "https://app.example.com/"),
            ("https://@app.example.com/", "https://app.example.com/"),
            (
                "/https://evil.example",
                "https://auth.example.com/https://evil.example",
            ),
            (
                "/..//evil.example",
                "https://auth.example.com//evil.example",
            ),
        ] {
            assert_eq!(accept(target).as_deref(), Some(address), "{target:?}");
        }
    }

    #[test]
    fn what_leads_elsewhere_is_not_accepted() {
        for target in [
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "\\\\evil.example",
            "\t//evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\r\n//evil.example",
            " //evil.example",
            "\u{0}//evil.example",
            "/account\r\nSet-Cookie: a=b",
            "https://evil.example",
            "https:\\\\evil.example",
            "https:///evil.example",
            "hTTps:////evil.example",
            "http:evil.example",
            "http://auth.example.com/",
            "http://app.example.com/",
            "https://app.example.com:8443/",
            "https://auth.example.com.evil.example/",
            "https://auth.example.com.",
            "https://auth.example.com%2eevil.example/",
            "https://evil.example/auth.example.com",
            "https://evil.example#auth.example.com",
            "https://evil.example?https://auth.example.com",
            "https://evil.example\\@auth.example.com",
            "https://auth.example.com@evil.example",
            "https://auth.example.com:443@evil.example",
            "https://auth.example.com%40evil.example",
            "https://ada@auth.example.com/",
            "https://ada:secret@app.example.com/",
            "https://:secret@app.example.com/",
            "//auth.example.com@evil.example/",
            "https://evil。example",
            "//evil%E3%80%82example",
            "https://аuth.example.com",
            "https://auth.example.com\u{3002}evil.example",
            "https://auth.example.com\u{ff0f}.evil.example",
            "https://[::1]/",
            "https://0x7f.1/",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "java\nscript:alert(1)",
            "data:text/html,x",
            "blob:https://auth.example.com/x",
            "filesystem:https://auth.example.com/x",
            "ftp://auth.example.com/",
            "ws://auth.example.com/",
            "file:///etc/passwd",
            "mailto:ada@example.com",
            "view-source:https://auth.example.com/",
            "https://",
            "https://:443/",
            "//",
        ] {
            assert_eq!(accept(target), None, "{target:?}");
        }
    }

    /// What an address is made of, in its order.
    const SCHEMES: &[&str] = &[
        "",
        "https:",
        "HTTPS:",
        "http:",
        "ws:",
        "javascript:",
        "h\tttps:",
    ];
    const SLASHES: &[&str] = &["", "/", "//", "///", "\\\\", "/\\"];
    const USERS: &[&str] = &["", "", "ada@", ":x@", "app.example.com@", "%40", "@"];
    const HOSTS: &[&str] = &[
        "",
        "auth.example.com",
        "app.example.com",
        "APP.example.com",
        "evil.example",
        "app",
    ];
    const ENDS: &[&str] = &[
        "",
        ".",
        ":443",
        ":8443",
        "/",
        "#",
        "?",
        "\\@",
        "\u{3002}",
        ".example.com",
    ];

    /// A fuzz target.
    #[test]
    fn whatever_is_accepted_is_an_address_of_an_allowed_origin_and_stays_so() {
        bolero::check!()
            .with_type::<([u8; 6], String)>()
            .for_each(|(which, rest)| {
                let parts = [SCHEMES, SLASHES, USERS, HOSTS, ENDS, ENDS];
                let parts = parts.iter().zip(which);
                let parts = parts.map(|(part, which)| part[usize::from(*which) % part.len()]);
                let target = parts.chain([rest.as_str()]).collect::<String>();
                let Some(address) = accept(&target) else {
                    return;
                };
                let place = address.strip_prefix("https://").unwrap();
                let allowed = ["auth.example.com/", "app.example.com/"];
                assert!(allowed.iter().any(|it| place.starts_with(it)), "{address}");
                assert!(address.bytes().all(|byte| byte.is_ascii_graphic()));
                assert_eq!(accept(&address).as_ref(), Some(&address));
            });
    }
}
