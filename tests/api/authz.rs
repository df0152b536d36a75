//! Forward-auth, as proxies ask for it.

use std::net::SocketAddr;

use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Stack::{Embedded, Scaled};
use crate::support::{Answer, Browser, Stack, TestApp, eventually};

const RULES: &str = r#"
    [[authz.rules]]
    path = "/public/"
    require = "anyone"

    [[authz.rules]]
    host = "app.example.com"
    path = "/admin/"
    require = "admin"

    [[authz.rules]]
    host = "*.example.com"
    path = "/closed"
    require = "nobody"

    [[authz.rules]]
    path = "/form"
    methods = ["POST"]
    require = "admin"
"#;

const TRUSTING: (&str, &str) = ("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1");
const RETURNING: (&str, &str) = (
    "GATELODGE_AUTHZ__ALLOWED_RETURN_ORIGINS",
    "https://app.example.com",
);

const REMOTE: [&str; 5] = [
    "remote-user",
    "remote-email",
    "remote-name",
    "remote-groups",
    "remote-session",
];
const X_AUTH_REQUEST: [&str; 4] = [
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-preferred-username",
    "x-auth-request-groups",
];

async fn gatelodge(stack: Stack) -> TestApp {
    TestApp::spawn_with_file(stack, &[TRUSTING, RETURNING], RULES).await
}

/// The ways to ask.
#[derive(Clone, Copy, Debug)]
enum Adapter {
    ForwardAuth,
    AuthRequest,
    ExtAuthz,
}

use Adapter::{AuthRequest, ExtAuthz, ForwardAuth};

const ADAPTERS: [Adapter; 3] = [ForwardAuth, AuthRequest, ExtAuthz];

/// A client's request to `https://app.example.com`, as a proxy puts it.
fn asked(
    adapter: Adapter,
    browser: &Browser,
    method: &Method,
    uri: &str,
) -> reqwest::RequestBuilder {
    match adapter {
        ForwardAuth => browser
            .request(Method::GET, "/api/authz/forward-auth")
            .header("x-forwarded-method", method.as_str())
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "app.example.com")
            .header("x-forwarded-uri", uri),
        AuthRequest => browser
            .request(Method::GET, "/api/authz/auth-request")
            .header("x-original-method", method.as_str())
            .header("x-original-url", format!("https://app.example.com{uri}")),
        ExtAuthz => browser
            .request(method.clone(), &format!("/api/authz/ext-authz{uri}"))
            .header("host", "app.example.com")
            .header("x-forwarded-proto", "https"),
    }
}

async fn ask(adapter: Adapter, browser: &mut Browser, method: Method, uri: &str) -> Answer {
    let answer = browser.send(asked(adapter, browser, &method, uri)).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("vary"), Some("Cookie"));
    answer
}

#[rstest::rstest]
#[tokio::test]
async fn the_rules_decide(#[values(Embedded, Scaled)] stack: Stack) {
    let app = gatelodge(stack).await;
    let mut nobody = app.browser();
    let mut ada = app.registered("ada@example.com").await;
    let mut root = app.admin().await;
    for adapter in ADAPTERS {
        for (uri, expected) in [
            ("/", [401, 200, 200]),
            ("/notes?a=/../public", [401, 200, 200]),
            ("/public/x", [200, 200, 200]),
            ("/admin", [401, 403, 200]),
            ("/admin/users?x", [401, 403, 200]),
            ("/administration", [401, 200, 200]),
            ("/closed/x", [403, 403, 403]),
        ] {
            for method in [
                Method::GET,
                Method::HEAD,
                Method::POST,
                Method::OPTIONS,
                Method::DELETE,
            ] {
                let mut statuses = Vec::new();
                for browser in [&mut nobody, &mut ada, &mut root] {
                    let answer = ask(adapter, browser, method.clone(), uri).await;
                    statuses.push(answer.status);
                }
                assert_eq!(statuses, expected, "{adapter:?} {method} {uri}");
            }
        }
        assert_eq!(
            ask(adapter, &mut ada, Method::POST, "/form").await.status,
            403
        );
        assert_eq!(
            ask(adapter, &mut ada, Method::GET, "/form").await.status,
            200
        );
    }
}

#[tokio::test]
async fn who_it_is_stands_in_every_header_of_every_200() {
    let app = gatelodge(Embedded).await;
    let mut nobody = app.browser();
    let mut ada = app.registered("ada@example.com").await;
    ada.update_account(&serde_json::json!({ "name": "Ada Lovelace, 100% é" }))
        .await;
    let (id, session) = (ada.user_id().await, ada.session_id().await);
    for adapter in ADAPTERS {
        let passed = ask(adapter, &mut ada, Method::GET, "/").await;
        let said = REMOTE.map(|name| passed.header(name).unwrap());
        let name = "Ada Lovelace, 100%25 %C3%A9";
        assert_eq!(said, [&id, "ada@example.com", name, "user", &session]);
        assert_eq!(passed.text, "");
        let anonymous = ask(adapter, &mut nobody, Method::GET, "/public/").await;
        assert_eq!(anonymous.status, 200);
        assert_eq!(REMOTE.map(|name| anonymous.header(name)), [Some(""); 5]);
        for refused in ["/admin/", "/closed/"] {
            let answer = ask(adapter, &mut ada, Method::GET, refused).await;
            assert_eq!(REMOTE.map(|name| answer.header(name)), [None; 5]);
        }
    }
}

#[tokio::test]
async fn the_headers_can_be_called_as_oauth2_proxy_does() {
    let style = ("GATELODGE_AUTHZ__HEADER_STYLE", "x-auth-request");
    let app = TestApp::spawn_with_file(Embedded, &[TRUSTING, style], RULES).await;
    let mut ada = app.registered("ada@example.com").await;
    let id = ada.user_id().await;
    let passed = ask(ForwardAuth, &mut ada, Method::GET, "/").await;
    let said = X_AUTH_REQUEST.map(|name| passed.header(name).unwrap());
    assert_eq!(said, [&id, "ada@example.com", "ada", "user"]);
    assert_eq!(REMOTE.map(|name| passed.header(name)), [None; 5]);
    let anonymous = ask(ForwardAuth, &mut app.browser(), Method::GET, "/public/").await;
    assert_eq!(
        X_AUTH_REQUEST.map(|name| anonymous.header(name)),
        [Some(""); 4]
    );
}

#[tokio::test]
async fn the_app_gets_the_cookies_that_are_not_ours() {
    let app = gatelodge(Embedded).await;
    let ada = app.registered("ada@example.com").await;
    let token = ada.token.clone().unwrap();
    for adapter in ADAPTERS {
        for (cookie, others) in [
            (format!("gatelodge_session={token}"), ""),
            (
                format!("a=1; gatelodge_session={token}; b=\"2"),
                "a=1; b=\"2",
            ),
            (
                format!("__Host-gatelodge_session=x; gatelodge_session={token};c"),
                "c",
            ),
        ] {
            let mut browser = app.browser();
            let request = asked(adapter, &browser, &Method::GET, "/");
            let answer = browser.send(request.header("cookie", cookie)).await;
            assert_eq!(
                (answer.status, answer.header("cookie")),
                (200, Some(others))
            );
        }
        let none = ask(adapter, &mut app.browser(), Method::GET, "/public/").await;
        assert_eq!(none.header("cookie"), Some(""));
    }
}

#[tokio::test]
async fn a_page_leads_to_the_login_and_back() {
    let app = gatelodge(Embedded).await;
    let login = "http://localhost:8080/login?return_to=https%3A%2F%2Fapp.example.com%2Fnotes%3Fpage%3D%2561";
    let as_browsers_do: [&[(&str, &str)]; 3] = [
        &[("sec-fetch-mode", "navigate")],
        &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")],
        &[("sec-fetch-mode", "navigate"), ("accept", "*/*")],
    ];
    let as_programs_do: [&[(&str, &str)]; 6] = [
        &[],
        &[("accept", "*/*")],
        &[("accept", "application/json")],
        &[("sec-fetch-mode", "cors"), ("accept", "text/html")],
        &[
            ("accept", "text/html"),
            ("x-requested-with", "XMLHttpRequest"),
        ],
        &[
            ("sec-fetch-mode", "websocket"),
            ("upgrade", "websocket"),
            ("connection", "upgrade"),
        ],
    ];
    for adapter in ADAPTERS {
        let with = async |method: &Method, headers: &[(&str, &str)]| {
            let mut browser = app.browser();
            let mut request = asked(adapter, &browser, method, "/notes?page=%61");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            browser.send(request).await
        };
        for headers in as_browsers_do {
            for method in [Method::GET, Method::HEAD] {
                let answer = with(&method, headers).await;
                assert_eq!(
                    answer.header("location"),
                    Some(login),
                    "{adapter:?} {headers:?}"
                );
                let status = if matches!(adapter, AuthRequest) {
                    401
                } else {
                    302
                };
                assert_eq!(answer.status, status, "{adapter:?}");
            }
            let answer = with(&Method::POST, headers).await;
            assert_eq!((answer.status, answer.header("location")), (401, None));
        }
        for headers in as_programs_do {
            let answer = with(&Method::GET, headers).await;
            answer.assert_refused();
            assert_eq!(answer.header("location"), None, "{adapter:?} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_page_that_a_login_may_not_lead_back_to_is_not_named() {
    let app = TestApp::spawn_with(Embedded, &[TRUSTING]).await;
    let mut browser = app.browser();
    let request = asked(ForwardAuth, &browser, &Method::GET, "/");
    let answer = browser.send(request.header("accept", "text/html")).await;
    assert_eq!(
        answer.header("location"),
        Some("http://localhost:8080/login")
    );
}

#[tokio::test]
async fn only_known_proxies_are_answered() {
    for proxies in ["", "192.0.2.1", "10.0.0.0/8,::1"] {
        let settings = [("GATELODGE_SERVER__TRUSTED_PROXIES", proxies)];
        let app = TestApp::spawn_with_file(Embedded, &settings, RULES).await;
        let mut ada = app.registered("ada@example.com").await;
        for adapter in ADAPTERS {
            for uri in ["/", "/public/", "/closed"] {
                let request = asked(adapter, &ada, &Method::GET, uri);
                // Whoever it claims to have been sent by.
                let request = request.header("x-forwarded-for", "192.0.2.1");
                let answer = ada.send(request).await;
                answer.assert_problem(403, "unknown_proxy");
                assert_eq!(REMOTE.map(|name| answer.header(name)), [None; 5]);
            }
        }
    }
}

/// Proxies that hide the questions from clients go by their name.
#[tokio::test]
async fn a_question_has_one_spelling() {
    let app = gatelodge(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    for path in [
        "/api/%61uthz/forward-auth",
        "/%61pi/authz/auth-request",
        "/api/authz%2Fforward-auth",
        "/api/%61uthz/ext-authz/public/",
    ] {
        let request = ada
            .request(Method::GET, path)
            .header("x-forwarded-method", "GET")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "app.example.com")
            .header("x-forwarded-uri", "/")
            .header("x-original-method", "GET")
            .header("x-original-url", "https://app.example.com/");
        let answer = ada.send(request).await;
        assert!(
            matches!(answer.status, 403 | 404),
            "{path}: {}",
            answer.status
        );
        assert_eq!(REMOTE.map(|name| answer.header(name)), [None; 5], "{path}");
    }
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_does_not_pass() {
    let app = gatelodge(Embedded).await;
    let mut root = app.admin().await;
    for uri in [
        "",
        "public",
        "//public/",
        "/public//x",
        "/public/../admin",
        "/public/%2e%2E/admin",
        "/public/..%2fadmin",
        "/public\\..\\admin",
        "/public;x/",
        "/public/%00",
        "/public/%ff",
        "/public/%252e%252e/admin",
        "/Public/",
        "/%EF%BD%90ublic/",
        "https://app.example.com/public/",
        "*",
    ] {
        let request = asked(ForwardAuth, &root, &Method::GET, uri);
        let answer = root.send(request).await;
        answer.assert_problem(403, "unclear_request");
    }
    for (scheme, status) in [
        (&b"http"[..], 200),
        (b"https", 200),
        // Traefik's, of a WebSocket.
        (b"wss", 200),
        (b"", 403),
        (b"HTTPS", 403),
        (b"https, http", 403),
        (b"gopher", 403),
        (b"http\xff", 403),
    ] {
        let request = root
            .request(Method::GET, "/api/authz/forward-auth")
            .header("x-forwarded-method", "GET")
            .header("x-forwarded-host", "app.example.com")
            .header("x-forwarded-uri", "/public/")
            .header("x-forwarded-proto", scheme);
        assert_eq!(root.send(request).await.status, status, "{scheme:?}");
    }
    for address in [
        "",
        "/public/",
        "//app.example.com/public/",
        "ftp://app.example.com/public/",
        "HTTPS://app.example.com/public/",
        "https://app.example.com",
        "https:///public/",
        "https://user@app.example.com/public/",
        "https://app.example.com, evil.example/public/",
        "https://app.example.com?/public/",
        "https://app.example.com\\/public/",
        " https://app.example.com/public/../admin",
    ] {
        let request = root
            .request(Method::GET, "/api/authz/auth-request")
            .header("x-original-method", "GET")
            .header("x-original-url", address);
        let answer = root.send(request).await;
        answer.assert_problem(403, "unclear_request");
    }
}

/// A request as bytes; the status, and what else is answered before the end.
async fn raw(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

#[tokio::test]
async fn what_envoy_sends_is_read_as_it_stands() {
    let app = gatelodge(Embedded).await;
    for path in [
        "/public/../admin/x",
        "/public/%2e%2e/admin/x",
        "//public/",
        "/public;x/y",
        "/%2e%2e/public/",
    ] {
        let request = format!(
            "GET /api/authz/ext-authz{path} HTTP/1.1\r\nHost: app.example.com\r\n\
             X-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
        );
        let (status, answer) = raw(app.address, &request).await;
        assert_eq!(status, 403, "{path}");
        assert!(answer.contains("unclear_request"), "{answer}");
    }
}

#[tokio::test]
async fn what_is_said_twice_or_not_at_all_does_not_pass() {
    let app = gatelodge(Embedded).await;
    let forwarded = [
        "X-Forwarded-Method: GET",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: app.example.com",
        "X-Forwarded-Uri: /public/",
    ];
    let original = [
        "X-Original-Method: GET",
        "X-Original-URL: https://app.example.com/public/",
    ];
    let envoys = ["Host: app.example.com", "X-Forwarded-Proto: https"];
    for (path, needed) in [
        ("/api/authz/forward-auth", &forwarded[..]),
        ("/api/authz/auth-request", &original[..]),
        ("/api/authz/ext-authz/public/", &envoys[..]),
    ] {
        let status = async |headers: &[&str]| {
            let host = if path.contains("ext-authz") {
                ""
            } else {
                "Host: auth.example.com\r\n"
            };
            let headers = headers.join("\r\n");
            let request =
                format!("GET {path} HTTP/1.1\r\n{host}{headers}\r\nConnection: close\r\n\r\n");
            raw(app.address, &request).await.0
        };
        assert_eq!(status(needed).await, 200, "{path}");
        for left_out in 0..needed.len() {
            let mut without = needed.to_vec();
            without.remove(left_out);
            let refused = status(&without).await;
            assert!(
                matches!(refused, 400 | 403),
                "{path} without {}: {refused}",
                needed[left_out]
            );
            let twice = [needed, &needed[left_out..=left_out]].concat();
            let refused = status(&twice).await;
            assert!(
                matches!(refused, 400 | 403),
                "{path} with two {}: {refused}",
                needed[left_out]
            );
        }
    }
}

/// Neither the cross-site rule nor what holds for bodies is about requests of others.
#[tokio::test]
async fn the_request_of_another_is_not_held_against_the_proxy() {
    let app = gatelodge(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    for adapter in ADAPTERS {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let request = asked(adapter, &ada, &method, "/notes")
                .header("origin", "https://evil.example")
                .header("sec-fetch-site", "cross-site")
                .header("content-type", "text/plain");
            assert_eq!(ada.send(request).await.status, 200, "{adapter:?} {method}");
        }
    }
    // A body that is announced and never comes is not waited for, and one that is
    // too large is not read.
    for length in [5, 1_000_000_000] {
        let request = format!(
            "POST /api/authz/ext-authz/public/ HTTP/1.1\r\nHost: app.example.com\r\n\
             X-Forwarded-Proto: https\r\nContent-Length: {length}\r\n\r\n"
        );
        let (status, _) = raw(app.address, &request).await;
        assert_eq!(status, 200);
    }
}

#[tokio::test]
async fn a_websocket_is_decided_like_the_rest() {
    let app = gatelodge(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut nobody = app.browser();
    for adapter in ADAPTERS {
        for (browser, status) in [(&mut nobody, 401), (&mut ada, 200)] {
            let request = asked(adapter, browser, &Method::GET, "/socket")
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13");
            assert_eq!(browser.send(request).await.status, status, "{adapter:?}");
        }
    }
}

#[tokio::test]
async fn who_is_revoked_does_not_pass() {
    let app = gatelodge(Scaled).await;
    let other = app.another_instance().await;
    let mut ada = app.registered("ada@example.com").await;
    let mut there = ada.at(other.address);
    assert_eq!(
        ask(ForwardAuth, &mut there, Method::GET, "/").await.status,
        200
    );
    let mut thief = ada.clone();
    ada.log_out().await;
    ask(ForwardAuth, &mut thief, Method::GET, "/")
        .await
        .assert_refused();
    eventually("the other instance hears of it", async || {
        ask(ForwardAuth, &mut there, Method::GET, "/").await.status == 401
    })
    .await;
    let open = ask(ForwardAuth, &mut thief, Method::GET, "/public/").await;
    assert_eq!((open.status, open.header("remote-user")), (200, Some("")));
}

#[tokio::test]
async fn asking_keeps_a_session_from_going_idle() {
    let settings = [TRUSTING, ("GATELODGE_SESSION__IDLE_TIMEOUT", "1h")];
    let app = TestApp::spawn_with(Embedded, &settings).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut idle = app.logged_in("ada@example.com").await;
    for _ in 0..3 {
        app.let_pass(std::time::Duration::from_mins(40));
        assert_eq!(
            ask(AuthRequest, &mut ada, Method::GET, "/").await.status,
            200
        );
    }
    ask(AuthRequest, &mut idle, Method::GET, "/")
        .await
        .assert_refused();
}

/// A store that does not answer is no "nobody is logged in", not even where anyone
/// may pass.
#[tokio::test]
async fn what_cannot_be_told_does_not_pass() {
    let lease = ("GATELODGE_SESSION__LEASE", "1s");
    let grace = ("GATELODGE_SESSION__LEDGER_GRACE", "0s");
    let app = TestApp::spawn_with_file(Scaled, &[TRUSTING, lease, grace], RULES).await;
    let mut ada = app.registered("ada@example.com").await;
    app.allow_ledger(false).await;
    for adapter in ADAPTERS {
        for uri in ["/", "/public/"] {
            eventually("nobody can tell", async || {
                ask(adapter, &mut ada, Method::GET, uri).await.status == 503
            })
            .await;
            let answer = ask(adapter, &mut ada, Method::GET, uri).await;
            answer.assert_problem(503, "unavailable");
        }
        let nobody = ask(adapter, &mut app.browser(), Method::GET, "/").await;
        nobody.assert_refused();
    }
}
