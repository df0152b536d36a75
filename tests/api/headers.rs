//! The headers of every answer, whoever makes it.

use reqwest::Method;

use crate::support::Stack::{Embedded, Scaled};
use crate::support::{Answer, Browser, TestApp};

const HTTPS: (&str, &str) = ("GATELODGE_SERVER__PUBLIC_URL", "https://auth.example.com");

const ALWAYS: [(&str, &str); 5] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "strict-transport-security",
        "max-age=63072000; includeSubDomains",
    ),
];

/// What would tell an attacker more than they need to know.
const NEVER: [&str; 4] = ["server", "x-powered-by", "via", "x-aspnet-version"];

#[track_caller]
fn assert_headers(answer: &Answer, context: &str) {
    for (name, value) in ALWAYS {
        assert_eq!(answer.header(name), Some(value), "{context}");
    }
    for name in NEVER {
        assert_eq!(answer.header(name), None, "{context}");
    }
    let of_cors = answer.header("access-control-allow-origin");
    assert_eq!(of_cors, None, "{context}");
    let policy = answer.header("content-security-policy").expect(context);
    assert!(policy.contains("default-src 'none'"), "{context}");
    assert!(policy.contains("frame-ancestors 'none'"), "{context}");
    assert!(!policy.contains("unsafe"), "{context}");
    let of_page = answer.header("cross-origin-opener-policy");
    match answer.header("content-type") {
        // JSON is UTF-8 (RFC 8259, 8.1), and has no parameter that says so.
        Some("application/json" | "application/problem+json") => assert_eq!(of_page, None),
        Some("text/html; charset=utf-8") => assert_eq!(of_page, Some("same-origin"), "{context}"),
        Some(other) => assert!(other.ends_with("; charset=utf-8"), "{context}: {other}"),
        None => assert!(answer.text.is_empty(), "{context}"),
    }
    let version = env!("CARGO_PKG_VERSION");
    for (name, value) in &answer.headers {
        let value = value.to_str().expect(context);
        assert!(!value.contains(version), "{context}: {name}: {value}");
    }
}

/// The answer as it is, whatever cookie it sets.
async fn answer_to(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

fn asking_for_a_page(browser: &Browser, method: Method, path: &str) -> reqwest::RequestBuilder {
    let request = browser.request(method, path);
    request.header("accept", "text/html")
}

#[tokio::test]
async fn every_answer_has_the_same_headers() {
    let settings = [HTTPS, ("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let app = TestApp::spawn_with(Embedded, &settings).await;
    let browser = app.browser();
    let long = format!("/api/sessions/whoami?{}", "a".repeat(9 * 1024));
    let paths = [
        "/",
        "/login",
        "/account",
        "/admin/users",
        "/nothing",
        "/docs",
        "/openapi.json",
        "/problems/not_found",
        "/assets/gatelodge.css",
        "/assets/gatelodge.js",
        "/assets/gatelodge.svg",
        "/health/alive",
        "/health/ready",
        "/api/sessions/whoami",
        "/api/admin/users",
        "/api/login",
        "/api/logout",
        "/api/nothing",
        "/api/authz/forward-auth",
        "/api/authz/auth-request",
        "/api/authz/ext-authz/app",
        &long,
    ];
    let methods = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW",
    ];
    for path in paths {
        for method in methods {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let context = format!("{method} {path:.40}");
            let request = browser.request(method.clone(), path);
            assert_headers(&answer_to(request).await, &context);
            let request = asking_for_a_page(&browser, method, path).header("origin", "null");
            assert_headers(&answer_to(request).await, &context);
        }
    }
}

#[tokio::test]
async fn refusals_of_the_edge_have_them() {
    let app =
        TestApp::spawn_with(Embedded, &[HTTPS, ("GATELODGE_SERVER__BODY_TIMEOUT", "1s")]).await;
    let mut browser = app.browser();
    let post = || browser.request(Method::POST, "/api/login");
    let never = futures_util::stream::pending::<std::io::Result<Vec<u8>>>();
    let refused = [
        (post().header("x-long", "a".repeat(17 * 1024)), 431),
        (post().body("a".repeat(65 * 1024)), 413),
        (post().header("origin", "null"), 403),
        (post().body("{}"), 415),
        (
            post().header("content-type", "application/json").body("{"),
            400,
        ),
        (
            post().header("content-type", "application/json").body("{}"),
            422,
        ),
        (post().body(reqwest::Body::wrap_stream(never)), 408),
    ];
    for (request, status) in refused {
        let answer = browser.clone().send(request).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_headers(&answer, &status.to_string());
    }
    assert_headers(&browser.get("/api/sessions/whoami").await, "401");
}

#[tokio::test]
async fn outages_have_them() {
    let settings = [HTTPS, ("GATELODGE_SESSION__LEDGER_GRACE", "0s")];
    let app = TestApp::spawn_with(Scaled, &settings).await;
    app.allow_ledger(false).await;
    let mut browser = app.browser();
    let answer = browser.log_in("ada@example.com", "correct horse").await;
    answer.assert_problem(503, "unavailable");
    assert_headers(&answer, "503");
    let form = asking_for_a_page(&browser, Method::POST, "/login")
        .header("sec-fetch-site", "same-origin")
        .form(&[("email", "ada@example.com"), ("password", "correct horse")]);
    let answer = browser.send(form).await;
    assert_eq!(answer.status, 503);
    assert_headers(&answer, "503");
}

/// There it would lock a browser out of every server on this machine.
#[tokio::test]
async fn in_development_nothing_is_said_of_https() {
    let app = TestApp::spawn(Embedded).await;
    let mut browser = app.browser();
    for path in ["/login", "/api/sessions/whoami", "/nothing"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.header("strict-transport-security"), None);
    }
}

#[tokio::test]
async fn the_documentation_can_be_turned_off_and_nothing_else_is_public() {
    let app = TestApp::spawn_with(Embedded, &[("GATELODGE_DOCS__ENABLED", "false")]).await;
    let mut browser = app.browser();
    for path in [
        "/docs",
        "/openapi.json",
        "/metrics",
        "/version",
        "/debug",
        "/api/version",
        "/.git/HEAD",
        "/.env",
        "/.well-known/security.txt",
    ] {
        browser.get(path).await.assert_problem(404, "not_found");
    }
}
