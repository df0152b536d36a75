//! `authz.*`: what proxies are told when they ask whether a request may pass.

use url::Origin;

use super::origin::parse_origin;
use super::reader::Reader;
use crate::domain::access::{HostPattern, Requirement, Rule, Rules};
use crate::domain::target::{Method, Path};

#[derive(Clone)]
pub struct Authz {
    pub rules: Rules,
    pub header_style: HeaderStyle,
    /// Where else than to our own origin a log-in may lead back to.
    pub allowed_return_origins: Vec<Origin>,
}

/// What the headers are called that tell an app whose request it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderStyle {
    /// `Remote-User`, as Authelia calls it.
    Remote,
    /// `X-Auth-Request-User`, as oauth2-proxy calls it.
    XAuthRequest,
}

impl Authz {
    pub(super) fn read(from: &mut Reader) -> Self {
        let rules = from.tables(
            "authz.rules",
            "Who may pass, decided by the first rule that is about a request: its host, \
             path and methods, each any if left out, and require, which is nobody, anyone, \
             user or admin. What no rule is about needs a session",
            rule,
        );
        Self {
            rules: Rules::new(rules.into_iter().flatten().collect()),
            header_style: from.value(
                "authz.header_style",
                "remote",
                "What the headers are called that tell an app whose request it has: remote \
                 (Remote-User) or x-auth-request (X-Auth-Request-User)",
                |text| match text {
                    "remote" => Ok(HeaderStyle::Remote),
                    "x-auth-request" => Ok(HeaderStyle::XAuthRequest),
                    _ => Err("remote or x-auth-request".to_owned()),
                },
            ),
            allowed_return_origins: from.list(
                "authz.allowed_return_origins",
                "Origins, besides that of server.public_url, that a log-in may lead back to",
                |text| {
                    let origin = parse_origin(text).map(|url| url.origin());
                    origin.ok_or_else(|| {
                        "origins such as https://app.example.com, without a path".to_owned()
                    })
                },
            ),
        }
    }
}

fn rule(from: &mut Reader) -> Option<Rule> {
    let host = from.optional("host", "", |text| {
        HostPattern::parse(text).map_err(|_| {
            "a host such as app.example.com, or *.example.com, without a port".to_owned()
        })
    });
    let path = from.optional("path", "", |text| {
        let path = Path::parse(text)
            .ok()
            .filter(|_| !text.contains(['*', '?']));
        path.ok_or_else(|| {
            "a path such as /admin/, which is about all that is in it, as in a URL, without *, \
             ?, . and .., semicolons, empty segments and encoded slashes"
                .to_owned()
        })
    });
    let methods = from.list("methods", "", |text| {
        Method::parse(text).map_err(|_| "methods in capital letters such as GET".to_owned())
    });
    let require = from.required("require", |text| {
        Requirement::parse(text).map_err(|_| "nobody, anyone, user or admin".to_owned())
    })?;
    Some(Rule {
        host,
        path,
        methods,
        require,
    })
}
