//! The contract's table of `Origin` and `Sec-Fetch-Site`, on every route that
//! changes something.

use reqwest::Method;

use crate::support::Stack::Embedded;
use crate::support::TestApp;
use crate::support::app::PASSWORD;

const UNSAFE: [(Method, &str); 8] = [
    (Method::POST, "/api/register"),
    (Method::POST, "/api/login"),
    (Method::POST, "/api/logout"),
    (Method::DELETE, "/api/sessions"),
    (
        Method::DELETE,
        "/api/sessions/01890a5d-ac96-774b-bcce-b302099a8057",
    ),
    (Method::POST, "/api/password"),
    (Method::PATCH, "/api/account"),
    (Method::DELETE, "/api/account"),
];

const OWN: &str = "https://auth.example.com";

async fn app() -> TestApp {
    TestApp::spawn_with(Embedded, &[("GATELODGE_SERVER__PUBLIC_URL", OWN)]).await
}

#[tokio::test]
async fn only_our_own_pages_and_what_is_no_browser_may_change_something() {
    let app = app().await;
    let origins = [
        (None, true),
        (Some(OWN), true),
        (Some("https://other.example.com"), false),
        (Some("https://auth.example.com:8443"), false),
        (Some("http://auth.example.com"), false),
        (Some("https://auth.example.com.evil.test"), false),
        (Some("HTTPS://auth.example.com"), false),
        (Some("null"), false),
    ];
    let sites = [
        (None, true),
        (Some("same-origin"), true),
        (Some("none"), true),
        (Some("same-site"), false),
        (Some("cross-site"), false),
    ];
    for (method, path) in UNSAFE {
        for (origin, origin_is_fine) in origins {
            for (site, site_is_fine) in sites {
                let mut request = app.browser().request(method.clone(), path);
                if let Some(origin) = origin {
                    request = request.header("origin", origin);
                }
                if let Some(site) = site {
                    request = request.header("sec-fetch-site", site);
                }
                let answer = request.send().await.unwrap().text().await.unwrap();
                let context = format!("{method} {path} {origin:?} {site:?}");
                if origin_is_fine && site_is_fine {
                    assert!(!answer.contains("csrf_failed"), "{context}");
                } else {
                    assert!(answer.contains("csrf_failed"), "{context}");
                }
            }
        }
    }
}

#[tokio::test]
async fn reading_is_for_everyone() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    let request = ada
        .request(Method::GET, "/api/sessions/whoami")
        .header("origin", "https://evil.test")
        .header("sec-fetch-site", "cross-site");
    let answer = ada.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn in_development_the_loopback_addresses_are_one_origin() {
    let app = TestApp::spawn(Embedded).await;
    let port = app.address.port();
    let mut browser = app.browser();
    for (origin, status) in [
        (format!("http://localhost:{port}"), 204),
        (format!("http://127.0.0.1:{port}"), 204),
        (format!("http://[::1]:{port}"), 204),
        (format!("https://localhost:{port}"), 403),
        ("http://localhost:1".to_owned(), 403),
    ] {
        let request = browser
            .request(Method::POST, "/api/logout")
            .header("origin", &origin);
        assert_eq!(browser.send(request).await.status, status, "{origin}");
    }
}

#[tokio::test]
async fn a_body_is_json_or_nothing_happens() {
    let app = TestApp::spawn(Embedded).await;
    let body = format!(r#"{{"email":"ada@example.com","name":"Ada","password":"{PASSWORD}"}}"#);
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/json;x"),
        Some("application/json; charset=utf-16"),
        Some("application/jsonp"),
        Some("text/json"),
    ] {
        let mut browser = app.browser();
        let mut request = browser
            .request(Method::POST, "/api/register")
            .body(body.clone());
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        browser
            .send(request)
            .await
            .assert_problem(415, "unsupported_media_type");
    }
    let mut browser = app.browser();
    let marked = [b"\xef\xbb\xbf", body.as_bytes()].concat();
    let request = browser
        .request(Method::POST, "/api/register")
        .header("content-type", "application/json");
    browser
        .send(request.body(marked))
        .await
        .assert_problem(415, "unsupported_media_type");
    let request = browser
        .request(Method::POST, "/api/register")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    browser
        .send(request.body(body.clone()))
        .await
        .assert_problem(415, "unsupported_media_type");

    for content_type in ["application/json", "Application/JSON; charset=UTF-8"] {
        let request = browser
            .request(Method::POST, "/api/login")
            .header("content-type", content_type);
        let answer = browser
            .send(request.body(r#"{"email":"ada@example.com","password":"x"}"#))
            .await;
        answer.assert_problem(401, "invalid_credentials");
    }
}
