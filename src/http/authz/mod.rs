//! Forward-auth: a proxy asks whether a client's request may pass to an app, and is
//! told whose it is. One core decides, and whatever it cannot decide does not pass;
//! one small adapter per kind of proxy says what was asked, and puts the answer in
//! the words that the proxy understands.

pub(super) mod auth_request;
pub(super) mod ext_authz;
pub(super) mod forward_auth;
pub(super) mod identity;

use std::sync::Once;

use actix_web::http::header::{HeaderMap, HeaderName, LOCATION};
use actix_web::{HttpRequest, HttpResponse};
use tracing::field;

use super::client;
use super::gate::{self, CurrentSession};
use super::headers::accepts_html;
use super::problem::{Kind, Problem};
use super::services::Services;
use crate::domain::access::Requirement;
use crate::domain::target::{Target, Unclear};
use crate::telemetry::request::unseen;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// What a proxy wants to know: whether a client's request may pass.
struct Question<'a> {
    target: Target,
    /// The address the client asked for, in its parts, as they stood on the wire.
    scheme: &'static str,
    authority: &'a str,
    uri: &'a str,
}

/// Why there is no answer but no.
#[derive(Debug, thiserror::Error)]
enum NoQuestion {
    #[error("{0} is not there exactly once, or not ASCII")]
    Header(HeaderName),
    #[error("the scheme is not http or https")]
    Scheme,
    #[error("the address is not whole")]
    Address,
    #[error(transparent)]
    Unclear(#[from] Unclear),
}

impl From<NoQuestion> for Problem {
    fn from(reason: NoQuestion) -> Self {
        tracing::debug!(%reason, "a request is unclear");
        Kind::UnclearRequest.into()
    }
}

impl<'a> Question<'a> {
    fn new(
        method: &str,
        scheme: &str,
        authority: &'a str,
        uri: &'a str,
    ) -> Result<Self, NoQuestion> {
        let scheme = match scheme {
            "http" | "ws" => "http",
            "https" | "wss" => "https",
            _ => return Err(NoQuestion::Scheme),
        };
        Ok(Self {
            target: Target::parse(method, authority, uri)?,
            scheme,
            authority,
            uri,
        })
    }

    fn address(&self) -> String {
        let Self {
            scheme,
            authority,
            uri,
            ..
        } = self;
        format!("{scheme}://{authority}{uri}")
    }

    /// Whether a browser shows what comes of it as a page (Fetch Metadata, 2.3), so
    /// that it can be sent to another. An older browser is known by what it accepts.
    fn is_navigation(&self, headers: &HeaderMap) -> bool {
        let is_to_a_page = match headers.get(SEC_FETCH_MODE) {
            Some(mode) => mode == "navigate",
            None => accepts_html(headers) && !headers.contains_key(X_REQUESTED_WITH),
        };
        self.target.method.is_get_or_head() && is_to_a_page
    }
}

/// The value of a header that must be there exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, NoQuestion> {
    let mut values = headers.get_all(name);
    let value = values.next().and_then(|value| value.to_str().ok());
    match (value, values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(NoQuestion::Header(name.clone())),
    }
}

/// What becomes of a client's request that is not refused.
enum Ruling {
    /// It passes, with what the app is to know.
    Pass(HttpResponse),
    /// The browser is to go to that address first, and log in.
    LogIn(String),
}

/// Answers what an adapter makes of a proxy's request.
async fn rule(
    request: &HttpRequest,
    services: &Services,
    read: fn(&HttpRequest) -> Result<Question<'_>, NoQuestion>,
) -> Result<Ruling, Problem> {
    // Proxies hide these from clients by their name, not by every spelling of it.
    if !request.uri().path().starts_with("/api/authz/") {
        return Err(Kind::NotFound.into());
    }
    ensure_trusted(request, services)?;
    let question = read(request)?;
    let requirement = services.rules.requirement(&question.target);
    let requirement = requirement.map_err(NoQuestion::from)?;
    tracing::debug!(asked = %question.target, ?requirement, "a rule is found");
    if requirement == Requirement::Nobody {
        return Err(Kind::Forbidden.into());
    }
    let current = gate::current(request, services).await?;
    let record = current.as_ref().map(CurrentSession::record);
    let headers = request.headers();
    if requirement.is_met_by(record.map(|record| record.role)) {
        let answer = services.identity_headers.pass(record, headers)?;
        Ok(Ruling::Pass(answer))
    } else if let Some(record) = record {
        // The app never hears of it.
        tracing::info!(
            request_id = unseen().map(field::display),
            client = client::address_of(request, services).map(field::display),
            user = %record.session.user_id,
            session = %record.session.id,
            asked = %question.target,
            "a user is refused what a rule keeps from them"
        );
        Err(Kind::Forbidden.into())
    } else if question.is_navigation(headers) {
        let return_to = services.return_origins.accept(&question.address());
        Ok(Ruling::LogIn(services.links.login(return_to.as_deref())))
    } else {
        Err(Kind::Unauthenticated.into())
    }
}

/// Whoever is no proxy of ours is not believed, and told nothing.
fn ensure_trusted(request: &HttpRequest, services: &Services) -> Result<(), Problem> {
    static REPORT: Once = Once::new();
    if client::is_of_trusted_proxy(request, services) {
        return Ok(());
    }
    let peer = request.peer_addr().map(|peer| peer.ip());
    REPORT.call_once(|| {
        tracing::warn!(
            request_id = unseen().map(field::display),
            peer = peer.map(field::display),
            "somebody asks whether requests may pass, and is not believed: if it is your \
             proxy, add its address to server.trusted_proxies (this is said once)"
        );
    });
    Err(Kind::UnknownProxy.into())
}

impl Ruling {
    /// For a proxy that passes on a redirect as it is.
    fn or_redirect(self) -> HttpResponse {
        match self {
            Self::Pass(answer) => answer,
            Self::LogIn(link) => HttpResponse::Found()
                .insert_header((LOCATION, link))
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::Uri;
    use actix_web::test::TestRequest;
    use url::Url;

    use super::*;

    /// What the description of a request is made of.
    const PIECES: &[&str] = &[
        "/",
        "/",
        "/",
        "a",
        "admin",
        "Admin",
        ".",
        "..",
        "%2e",
        "%2F",
        "%5c",
        "\\",
        ";",
        "%00",
        "%25",
        "%",
        "%61",
        "%C3%A9",
        "?",
        "#",
        " ",
        "@",
        ":",
        ":8443",
        ":65536",
        "[::1]",
        "127.1",
        "app.example.com",
        "xn--a",
        ",",
        "\t",
    ];

    fn text(pieces: &[u8]) -> String {
        let piece = |which: &u8| PIECES[usize::from(*which) % PIECES.len()];
        pieces.iter().map(piece).collect()
    }

    type Described<'a> = Vec<(&'static str, &'a str)>;
    type Adapter = fn(&HttpRequest) -> Result<Question<'_>, NoQuestion>;

    /// What each kind of proxy's adapter makes of one request, in the words it reads.
    fn read_by_each(method: &str, authority: &str, uri: &str) -> Vec<(Target, String)> {
        let whole = format!("https://{authority}{uri}");
        let described: [(&str, Described<'_>, Adapter); 3] = [
            (
                "/api/authz/forward-auth",
                vec![
                    ("x-forwarded-method", method),
                    ("x-forwarded-proto", "https"),
                    ("x-forwarded-host", authority),
                    ("x-forwarded-uri", uri),
                ],
                forward_auth::read,
            ),
            (
                "/api/authz/auth-request",
                vec![("x-original-method", method), ("x-original-url", &whole)],
                auth_request::read,
            ),
            (
                &format!("/api/authz/ext-authz{uri}"),
                vec![("x-forwarded-proto", "https"), ("host", authority)],
                ext_authz::read,
            ),
        ];
        let mut read = Vec::new();
        for (path, headers, adapter) in described {
            if path.parse::<Uri>().is_err() {
                continue;
            }
            let request = TestRequest::with_uri(path).method(method.parse().unwrap());
            let request = headers
                .into_iter()
                .fold(request, TestRequest::insert_header);
            let request = request.to_http_request();
            if let Ok(question) = adapter(&request) {
                let address = question.address();
                read.push((question.target, address));
            }
        }
        read
    }

    /// A fuzz target: the request that a proxy asks about.
    #[test]
    fn whatever_a_proxy_asks_about_is_what_a_browser_would_ask_for() {
        bolero::check!()
            .with_type::<(bool, Vec<u8>, Vec<u8>)>()
            .for_each(|(is_usual, authority, uri)| {
                let authority = if *is_usual {
                    "app.example.com:8443".to_owned()
                } else {
                    text(authority)
                };
                let uri = format!("/{}", text(uri));
                for (target, address) in read_by_each("GET", &authority, &uri) {
                    let url = Url::parse(&address).unwrap();
                    let asked = Target::parse("GET", url.host_str().unwrap(), url.path());
                    assert_eq!(asked, Ok(target), "{address}");
                }
            });
    }
}
