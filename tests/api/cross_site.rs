//! The contract's table of `Origin` and `Sec-Fetch-Site`, on every route that
//! changes something.

use reqwest::{Method, RequestBuilder};

use super::documents::routes;
use crate::support::Stack::Embedded;
use crate::support::TestApp;
use crate::support::app::PASSWORD;

const OWN: &str = "http://localhost:8080";
const PARTNER: &str = "https://app.example.com";
const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

const CORS: [(&str, &str); 1] = [("GATELODGE_CORS__ALLOWED_ORIGINS", PARTNER)];

const ORIGINS: [Option<&str>; 11] = [
    None,
    Some(OWN),
    Some(PARTNER),
    Some("https://other.example.com"),
    Some("https://localhost:8080"),
    Some("http://localhost:8081"),
    Some("http://localhost:8080.evil.test"),
    Some("HTTP://localhost:8080"),
    Some("http://localhost:8080/"),
    Some("null"),
    Some(""),
];

const SITES: [Option<&str>; 7] = [
    None,
    Some("same-origin"),
    Some("none"),
    Some("same-site"),
    Some("cross-site"),
    Some("Same-Origin"),
    Some(""),
];

/// The contract's table.
fn is_allowed(origin: Option<&str>, site: Option<&str>) -> bool {
    match origin {
        Some(PARTNER) => true,
        None | Some(OWN) => matches!(site, None | Some("same-origin" | "none")),
        Some(_) => false,
    }
}

/// Every route that the description says may change something.
async fn unsafe_routes(app: &TestApp) -> Vec<(Method, String)> {
    let document = app.browser().get("/openapi.json").await.json();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            if !method.is_safe() {
                let path = path.replace("{id}", ID).replace("{ip}", "203.0.113.9");
                routes.push((method, path));
            }
        }
    }
    assert!(routes.len() > 15, "{routes:?}");
    routes
}

/// Every page that takes a form.
fn forms() -> Vec<String> {
    let forms = routes().into_iter().filter_map(|route| {
        let page = route.strip_prefix("post ")?;
        (!page.starts_with("/api/")).then(|| page.replace("{id}", ID))
    });
    let forms: Vec<_> = forms.collect();
    assert!(forms.len() > 15, "{forms:?}");
    forms
}

fn from(request: RequestBuilder, origin: Option<&str>, site: Option<&str>) -> RequestBuilder {
    let headers = [("origin", origin), ("sec-fetch-site", site)];
    headers
        .into_iter()
        .fold(request, |request, (name, value)| match value {
            Some(value) => request.header(name, value),
            None => request,
        })
}

#[tokio::test]
async fn only_our_own_pages_those_allowed_and_what_is_no_browser_may_change_something() {
    let app = TestApp::spawn_with(Embedded, &CORS).await;
    let mut browser = app.browser();
    for (method, path) in unsafe_routes(&app).await {
        for origin in ORIGINS {
            for site in SITES {
                for content_type in [None, Some("application/json"), Some("text/plain")] {
                    let mut request = from(browser.request(method.clone(), &path), origin, site);
                    if let Some(content_type) = content_type {
                        request = request.header("content-type", content_type).body("{}");
                    }
                    let answer = browser.send(request).await;
                    let context = format!("{method} {path} {origin:?} {site:?} {content_type:?}");
                    if is_allowed(origin, site) {
                        assert_ne!(answer.status, 403, "{context}: {}", answer.text);
                    } else {
                        assert!(answer.text.contains("csrf_failed"), "{context}");
                        answer.assert_problem(403, "csrf_failed");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn one_of_two_origins_is_not_enough() {
    let app = TestApp::spawn_with(Embedded, &CORS).await;
    let mut browser = app.browser();
    for other in [PARTNER, OWN, "https://evil.test"] {
        for (name, values) in [
            ("origin", [PARTNER, other]),
            ("sec-fetch-site", ["same-origin", "cross-site"]),
        ] {
            let request = browser.request(Method::POST, "/api/logout");
            let request = request.header(name, values[0]).header(name, values[1]);
            let answer = browser.send(request).await;
            answer.assert_problem(403, "csrf_failed");
        }
    }
}

/// Whom CORS lets use the API, it does not let send our forms.
#[tokio::test]
async fn a_form_comes_from_our_own_pages_alone() {
    let app = TestApp::spawn_with(Embedded, &CORS).await;
    for path in forms() {
        let mut admin = app.admin().await;
        for origin in ORIGINS {
            for site in SITES {
                let form = admin.request(Method::POST, &path).form(&[("a", "b")]);
                let is_from_a_browser = origin.is_some() || site.is_some();
                let is_allowed =
                    origin != Some(PARTNER) && is_allowed(origin, site) && is_from_a_browser;
                if is_allowed {
                    continue;
                }
                let answer = admin.send(from(form, origin, site)).await;
                let context = format!("{path} {origin:?} {site:?}");
                assert!(answer.text.contains("csrf_failed"), "{context}: {answer:?}");
                answer.assert_problem(403, "csrf_failed");
            }
        }
        let form = admin.request(Method::POST, &path).form(&[("a", "b")]);
        let answer = admin.send(from(form, Some(OWN), None)).await;
        assert_ne!(answer.status, 403, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_form_is_a_form_or_nothing_happens() {
    let app = TestApp::spawn(Embedded).await;
    for path in forms() {
        let mut admin = app.admin().await;
        for content_type in [None, Some("text/plain"), Some("application/json")] {
            let request = admin.request(Method::POST, &path).body("a=b");
            let mut request = from(request, Some(OWN), Some("same-origin"));
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let answer = admin.send(request).await;
            assert_eq!(answer.status, 415, "{path} {content_type:?}");
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

const NOT_JSON: [Option<&str>; 9] = [
    None,
    Some("text/plain"),
    Some("application/x-www-form-urlencoded"),
    Some("multipart/form-data; boundary=x"),
    Some("application/json;x"),
    Some("application/json; charset=utf-16"),
    Some("application/json, text/plain"),
    Some("application/jsonp"),
    Some("text/json"),
];

fn sent_as(request: RequestBuilder, content_type: Option<&str>) -> RequestBuilder {
    match content_type {
        Some(content_type) => request.header("content-type", content_type),
        None => request,
    }
}

/// Whoever may do everything, on every route.
#[tokio::test]
async fn every_body_is_json_or_refused() {
    let app = TestApp::spawn(Embedded).await;
    let routes = unsafe_routes(&app).await;
    let mut admin = app.admin().await;
    for (method, path) in &routes {
        let request = || admin.request(method.clone(), path);
        let mut refused = NOT_JSON
            .into_iter()
            .map(|of| sent_as(request(), of).body("{}"))
            .collect::<Vec<_>>();
        refused.push(
            request()
                .header("content-type", "application/json")
                .body("\u{feff}{}"),
        );
        for encoding in ["gzip", "identity", ""] {
            let encoded = request().header("content-type", "application/json");
            refused.push(encoded.header("content-encoding", encoding).body("{}"));
        }
        let twice = request().header("content-type", "application/json");
        refused.push(twice.header("content-type", "text/plain").body("{}"));
        for request in refused {
            let context = format!("{method} {path}: {request:?}");
            let answer = admin.clone().send(request).await;
            assert_eq!(answer.status, 415, "{context}: {}", answer.text);
            answer.assert_problem(415, "unsupported_media_type");
        }
    }
    assert_eq!(admin.whoami().await.status, 200, "nothing was done");
}

#[tokio::test]
async fn a_body_is_json_or_nothing_happens() {
    let app = TestApp::spawn(Embedded).await;
    let body = format!(r#"{{"email":"ada@example.com","name":"Ada","password":"{PASSWORD}"}}"#);
    for content_type in NOT_JSON {
        let mut browser = app.browser();
        let request = browser.request(Method::POST, "/api/register");
        let request = sent_as(request, content_type).body(body.clone());
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
