//! Gatelodge, an app that knows nothing of it, and a proxy in front of both.

use std::net::SocketAddr;

use super::client::{Answer, Request, headers};
use super::proxy::Kind::{self, NginxOneHost};
use super::proxy::Proxy;
use super::upstream;
use crate::support::Stack::Embedded;
use crate::support::app::PASSWORD;
use crate::support::proxy::FaultProxy;
use crate::support::{TestApp, eventually};

const RULES: &str = r#"
    [[authz.rules]]
    host = "status.example.com"
    require = "anyone"

    [[authz.rules]]
    host = "app.example.com"
    path = "/secret/"
    require = "admin"

    [[authz.rules]]
    path = "/public/"
    require = "anyone"

    [[authz.rules]]
    path = "/admin/"
    require = "admin"

    [[authz.rules]]
    path = "/closed/"
    require = "nobody"
"#;

pub const ADA: &str = "ada@example.com";
/// Where nobody is.
pub const ELSEWHERE: &str = "203.0.113.9";

/// Gatelodge, and a proxy in front of it and of an app.
pub struct Scene {
    /// What Gatelodge is called.
    name: &'static str,
    cookie: &'static str,
    /// Between the proxy and Gatelodge.
    pub network: FaultProxy,
    pub proxy: Proxy,
    _gatelodge: TestApp,
}

impl Scene {
    pub async fn set(kind: Kind) -> Self {
        Self::before(kind, upstream::start().await).await
    }

    /// In front of an app of the caller's.
    pub async fn before(kind: Kind, app: SocketAddr) -> Self {
        let (name, domain, cookie) = match kind {
            NginxOneHost => ("app.example.com", "", "__Host-gatelodge_session"),
            _ => (
                "auth.example.com",
                "example.com",
                "__Secure-gatelodge_session",
            ),
        };
        let settings = [
            ("GATELODGE_SERVER__PUBLIC_URL", &*format!("https://{name}")),
            ("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1"),
            ("GATELODGE_COOKIE__DOMAIN", domain),
            // TLS ends before the proxies here, so they say http.
            (
                "GATELODGE_AUTHZ__ALLOWED_RETURN_ORIGINS",
                "https://app.example.com,http://app.example.com",
            ),
        ];
        let gatelodge = TestApp::spawn_with_file(Embedded, &settings, RULES).await;
        let network = FaultProxy::before(gatelodge.address);
        let scene = Self {
            name,
            cookie,
            proxy: Proxy::start(kind, network.address, app),
            network,
            _gatelodge: gatelodge,
        };
        eventually("the proxy knows its routes", async || {
            let answer = scene.call("GET", "/api/sessions", "", String::new()).await;
            answer.status == 401
        })
        .await;
        scene
    }

    pub async fn send(&self, request: Request) -> Answer {
        request.send(self.proxy.address()).await
    }

    /// Asks Gatelodge itself, under its own name.
    pub async fn call(
        &self,
        method: &'static str,
        path: &str,
        cookie: &str,
        body: String,
    ) -> Answer {
        let mut request = Request::new(method, path)
            .header("Content-Type: application/json")
            .header(format!("X-Forwarded-For: {ELSEWHERE}"))
            .header(format!("Cookie: {cookie}"));
        request.host = self.name;
        request.body = body;
        self.send(request).await
    }

    /// The session cookie that an answer sets.
    pub async fn logged_in(&self, email: &str) -> String {
        let body = format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#);
        let answer = self.call("POST", "/api/login", "", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let start = format!("{}=", self.cookie);
        let mut cookies = headers(&answer.head).filter(|(_, value)| value.starts_with(&start));
        let (_, cookie) = cookies.next().expect("a cookie");
        cookie.split(';').next().expect("a value").to_owned()
    }

    pub async fn registered(&self) -> String {
        let body = format!(r#"{{"email":"{ADA}","name":"Ada é","password":"{PASSWORD}"}}"#);
        let answer = self.call("POST", "/api/register", "", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        self.logged_in(ADA).await
    }
}

/// Who they are to the app, by everything in its head that it could take for that.
pub fn identity(got: &str) -> Vec<(String, String)> {
    let spelled = |name: &str| name.to_lowercase().replace(['_', '.'], "-");
    let named = headers(got).map(|(name, value)| (spelled(name), value.to_owned()));
    let is_identity =
        |name: &str| name.starts_with("remote-") || name.starts_with("x-auth-request-");
    let mut identity: Vec<_> = named
        .filter(|(name, value)| is_identity(name) && !value.is_empty())
        .collect();
    identity.sort();
    identity
}
