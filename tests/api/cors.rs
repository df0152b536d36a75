//! Pages of other origins: those that are allowed use the API as the user who is logged
//! in, and nobody else is told anything.

use reqwest::Method;
use serde_json::json;

use crate::support::Stack::{Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::{Answer, Browser, TestApp};

const APP: &str = "https://app.example.com";
const OTHER: &str = "http://localhost:3000";
const FOREIGN: [&str; 8] = [
    "null",
    "*",
    "",
    "https://evil.test",
    "https://app.example.com:8443",
    "http://app.example.com",
    "https://app.example.com.evil.test",
    "HTTPS://APP.EXAMPLE.COM",
];

fn allowed() -> [(&'static str, &'static str); 1] {
    [(
        "GATELODGE_CORS__ALLOWED_ORIGINS",
        "https://app.example.com, http://localhost:3000",
    )]
}

/// As a browser sends a request of a page of that origin.
async fn ask(browser: &mut Browser, origin: &str, method: Method, path: &str) -> Answer {
    let request = browser
        .request(method, path)
        .header("origin", origin)
        .header("sec-fetch-site", "same-site");
    browser.send(request).await
}

async fn preflight(app: &TestApp, origin: &str, path: &str) -> Answer {
    let mut browser = app.browser();
    let request = browser
        .request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    browser.send(request).await
}

#[track_caller]
fn assert_shown_to(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        Some("true")
    );
    assert_eq!(
        answer.header("access-control-expose-headers"),
        Some("retry-after, x-request-id")
    );
    assert_eq!(answer.header("vary"), Some("origin"));
}

#[track_caller]
fn assert_shown_to_nobody(answer: &Answer) {
    let of_cors = answer
        .headers
        .keys()
        .map(reqwest::header::HeaderName::as_str);
    let of_cors: Vec<_> = of_cors
        .filter(|name| name.starts_with("access-control-"))
        .collect();
    assert!(of_cors.is_empty(), "{of_cors:?}");
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_logs_in_and_asks_who_it_is() {
    let app = TestApp::spawn_with(Scaled, &allowed()).await;
    app.registered("ada@example.com").await;
    for origin in [APP, OTHER] {
        let asked = preflight(&app, origin, "/api/login").await;
        assert_eq!(asked.status, 204, "{}", asked.text);
        assert_shown_to(&asked, origin);
        let methods = asked.header("access-control-allow-methods").unwrap();
        assert_eq!(methods, "GET, HEAD, POST, PUT, PATCH, DELETE");
        let headers = asked.header("access-control-allow-headers");
        assert_eq!(headers, Some("content-type"));
        assert_eq!(asked.header("access-control-max-age"), Some("600"));

        let mut browser = app.browser();
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        let request = browser
            .request(Method::POST, "/api/login")
            .header("origin", origin)
            .header("sec-fetch-site", "cross-site")
            .json(&body);
        let answer = browser.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_shown_to(&answer, origin);
        let answer = ask(&mut browser, origin, Method::GET, "/api/sessions/whoami").await;
        assert_eq!(answer.status, 200);
        assert_shown_to(&answer, origin);
        let answer = ask(&mut browser, origin, Method::DELETE, "/api/sessions").await;
        assert_eq!(answer.status, 200);
        assert_shown_to(&answer, origin);
    }
}

/// Else a page could not tell what is wrong.
#[tokio::test]
async fn refusals_and_errors_are_shown_to_an_allowed_origin() {
    let app = TestApp::spawn_with(Embedded, &allowed()).await;
    let mut browser = app.browser();
    let long = format!("/api/sessions/whoami?{}", "a".repeat(9 * 1024));
    for (method, path, status) in [
        (Method::GET, "/api/sessions/whoami", 401),
        (Method::POST, "/api/login", 415),
        (Method::PUT, "/api/login", 405),
        (Method::OPTIONS, "/api/login", 405),
        (Method::GET, "/api/nothing", 404),
        (Method::GET, &long, 414),
    ] {
        let answer = ask(&mut browser, APP, method, path).await;
        assert_eq!(answer.status, status, "{path:.40}");
        assert_shown_to(&answer, APP);
    }
    let request = browser
        .request(Method::POST, "/api/login")
        .header("origin", APP)
        .body("a".repeat(65 * 1024));
    let answer = browser.send(request).await;
    answer.assert_problem(413, "content_too_large");
    assert_shown_to(&answer, APP);
}

#[tokio::test]
async fn an_outage_is_shown_to_an_allowed_origin() {
    let settings = [allowed()[0], ("GATELODGE_SESSION__LEDGER_GRACE", "0s")];
    let app = TestApp::spawn_with(Scaled, &settings).await;
    app.allow_ledger(false).await;
    let mut browser = app.browser();
    let body = json!({ "email": "ada@example.com", "password": PASSWORD });
    let request = browser.request(Method::POST, "/api/login");
    let answer = browser
        .send(request.header("origin", APP).json(&body))
        .await;
    answer.assert_problem(503, "unavailable");
    assert_shown_to(&answer, APP);
}

#[tokio::test]
async fn nobody_else_is_told_anything() {
    let app = TestApp::spawn_with(Embedded, &allowed()).await;
    let mut ada = app.registered("ada@example.com").await;
    for origin in FOREIGN {
        for (method, path, status) in [
            (Method::GET, "/api/sessions/whoami", 200),
            (Method::GET, "/api/nothing", 404),
            (Method::DELETE, "/api/sessions", 403),
        ] {
            let answer = ask(&mut ada, origin, method, path).await;
            assert_eq!(answer.status, status, "{origin} {path}");
            assert_shown_to_nobody(&answer);
            assert_eq!(answer.header("vary"), Some("origin"), "for caches");
        }
        let answer = preflight(&app, origin, "/api/login").await;
        answer.assert_problem(405, "method_not_allowed");
        assert_shown_to_nobody(&answer);
    }
    assert_shown_to_nobody(&ada.whoami().await);
}

/// What people see, and what proxies are told, is for no script of another origin.
#[tokio::test]
async fn nothing_but_the_api_is_for_other_origins() {
    let settings = [
        allowed()[0],
        ("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let app = TestApp::spawn_with(Embedded, &settings).await;
    let mut ada = app.registered("ada@example.com").await;
    for path in [
        "/account",
        "/login",
        "/nothing",
        "/docs",
        "/openapi.json",
        "/health/alive",
        "/assets/gatelodge.css",
        "/api/authz/forward-auth",
    ] {
        assert_shown_to_nobody(&ask(&mut ada, APP, Method::GET, path).await);
        assert_shown_to_nobody(&preflight(&app, APP, path).await);
    }
    // A preflight of the app's own is the proxy's question like any other.
    let request = ada
        .request(Method::OPTIONS, "/api/authz/forward-auth")
        .header("origin", APP)
        .header("access-control-request-method", "POST")
        .header("x-forwarded-method", "OPTIONS")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "app.example.com")
        .header("x-forwarded-uri", "/");
    let answer = ada.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_shown_to_nobody(&answer);
}

#[tokio::test]
async fn nobody_is_allowed_by_default() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    let answer = ask(&mut ada, APP, Method::GET, "/api/sessions/whoami").await;
    assert_shown_to_nobody(&answer);
    assert_eq!(answer.header("vary"), None);
    assert_shown_to_nobody(&preflight(&app, APP, "/api/login").await);
}
