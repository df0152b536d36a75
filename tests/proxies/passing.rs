//! What passes, and what the app gets; what does not, and what the client is told.

use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{Request, headers};
use super::proxy::Kind::{self, Caddy, Envoy, Haproxy, Nginx, NginxOneHost, Traefik};
use super::scene::{ADA, ELSEWHERE, Scene, identity};
use crate::support::app::ADMIN;
use crate::support::eventually;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

#[rstest]
#[tokio::test]
async fn the_rules_hold(#[values(Nginx, Caddy, Haproxy, Traefik, Envoy)] kind: Kind) {
    let scene = Scene::set(kind).await;
    let ada = format!("Cookie: {}", scene.registered().await);
    let root = format!("Cookie: {}", scene.logged_in(ADMIN).await);
    for (target, expected) in [
        ("/", [401, 200, 200]),
        ("/notes?x=/../admin/", [401, 200, 200]),
        ("/public/x", [200, 200, 200]),
        ("/admin", [401, 403, 200]),
        ("/admin/users", [401, 403, 200]),
        ("/%61dmin/users", [401, 403, 200]),
        ("/administration", [401, 200, 200]),
        ("/closed/x", [403, 403, 403]),
    ] {
        for method in METHODS {
            for (cookie, status) in ["X: y", &ada, &root].into_iter().zip(expected) {
                let answer = scene
                    .send(Request::new(method, target).header(cookie))
                    .await;
                assert_eq!(
                    answer.status, status,
                    "{method} {target} {cookie} {answer:?}"
                );
                assert_eq!(answer.header("x-app").is_some(), status == 200);
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn the_app_hears_who_it_is_and_not_by_which_cookie(
    #[values(Nginx, Caddy, Haproxy, Traefik, Envoy)] kind: Kind,
) {
    let scene = Scene::set(kind).await;
    let session = scene.registered().await;
    let whoami = scene
        .call("GET", "/api/sessions/whoami", &session, String::new())
        .await;
    let whoami: serde_json::Value = serde_json::from_str(&whoami.body).unwrap();
    let long = format!("long={}", "x".repeat(6000));
    for (cookies, others) in [
        (session.clone(), ""),
        (format!("a=1; {session}; b=2"), "a=1; b=2"),
        (format!("gatelodge_session=x; a=1;{session}"), "a=1"),
        (format!("{long}; {session}"), &long),
    ] {
        let request = Request::new("GET", "/").header(format!("Cookie: {cookies}"));
        let answer = scene.send(request).await;
        let got = answer.app_got().unwrap();
        let said = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let expected = [
            ("remote-email", ADA.to_owned()),
            ("remote-groups", "user".to_owned()),
            ("remote-name", "Ada %C3%A9".to_owned()),
            ("remote-session", said(&whoami["session"]["id"])),
            ("remote-user", said(&whoami["user"]["id"])),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(identity(got), expected, "{got}");
        assert!(!got.contains("gatelodge_session"), "{got}");
        let kept = headers(got).find(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        assert_eq!(kept.map_or("", |(_, value)| value), others, "{got}");
    }
}

#[rstest]
#[tokio::test]
async fn a_page_leads_to_the_login_and_a_call_is_refused(
    #[values(Nginx, Caddy, Haproxy, Traefik, Envoy)] kind: Kind,
) {
    let scene = Scene::set(kind).await;
    for page in ["Sec-Fetch-Mode: navigate", "Accept: text/html,*/*;q=0.8"] {
        let answer = scene
            .send(Request::new("GET", "/notes?a=1&b=%61").header(page))
            .await;
        assert_eq!(answer.status, 302, "{answer:?}");
        let login = "https://auth.example.com/login?return_to=\
                     http%3A%2F%2Fapp.example.com%2Fnotes%3Fa%3D1%26b%3D%2561";
        assert_eq!(answer.header("location"), Some(login));
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{answer:?}"
        );
    }
    for call in ["Accept: application/json", "Sec-Fetch-Mode: cors"] {
        let answer = scene.send(Request::new("GET", "/notes").header(call)).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.header("location"), None);
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, Some("Cookie realm=\"gatelodge\""), "{answer:?}");
    }
}

#[rstest]
#[tokio::test]
async fn what_passes_reaches_the_app_as_it_was(
    #[values(Nginx, Caddy, Haproxy, Traefik, Envoy)] kind: Kind,
) {
    let scene = Scene::set(kind).await;
    let ada = format!("Cookie: {}", scene.registered().await);
    for target in [
        "/notes/a%20b?x=%2F..%2F&y=//",
        "/100%25/~a",
        "/what%3F/c%23",
        "/%C3%A9",
        // Which Traefik writes otherwise, but before it asks.
        if kind == Traefik {
            "/notes"
        } else {
            "/%6eotes"
        },
    ] {
        let mut request = Request::new("POST", target)
            .header(&*ada)
            .header("Content-Type: text/plain")
            .header("Origin: https://evil.example")
            .header("X-Other: kept");
        request.body = "a body".to_owned();
        let answer = scene.send(request).await;
        let got = answer
            .app_got()
            .unwrap_or_else(|| panic!("{target} {answer:?}"));
        assert!(
            got.starts_with(&format!("POST {target} HTTP/1.1\r\n")),
            "{got}"
        );
        assert!(got.ends_with("\r\n\r\na body"), "{got}");
        let has = |name: &str, value: &str| {
            headers(got).any(|it| it.0.eq_ignore_ascii_case(name) && it.1 == value)
        };
        assert!(
            has("x-other", "kept") && has("content-type", "text/plain"),
            "{got}"
        );
        assert!(has("host", "app.example.com"), "{got}");
    }
}

#[rstest]
#[tokio::test]
async fn a_websocket_passes_like_the_rest(
    #[values(Nginx, Caddy, Haproxy, Traefik, Envoy)] kind: Kind,
) {
    let scene = Scene::set(kind).await;
    let ada = format!("Cookie: {}", scene.registered().await);
    let upgrade = |target, cookie: &str| {
        Request::new("GET", target)
            .header("Connection: Upgrade")
            .header("Upgrade: websocket")
            .header("Sec-WebSocket-Version: 13")
            .header("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
            .header(cookie)
    };
    for (target, cookie, status) in [
        ("/socket", "X: y", 401),
        ("/admin/socket", &ada, 403),
        ("/closed/socket", &ada, 403),
        ("/socket", &ada, 101),
    ] {
        let mut stream = TcpStream::connect(scene.proxy.address()).await.unwrap();
        let answer = upgrade(target, cookie).send_on(&mut stream).await;
        assert_eq!(answer.status, status, "{target} {answer:?}");
        assert_eq!(answer.header("x-app").is_some(), status == 101);
        if status == 101 {
            stream.write_all(b"hello").await.unwrap();
            let mut back = [0; 5];
            stream.read_exact(&mut back).await.unwrap();
            assert_eq!(&back, b"hello");
        }
    }
}

/// After which requests would pass that nobody has decided about.
#[rstest]
#[tokio::test]
async fn no_other_upgrade_passes(#[values(Nginx, Caddy, Haproxy, Traefik, Envoy)] kind: Kind) {
    let scene = Scene::set(kind).await;
    for upgrades in [
        &["h2c"][..],
        &["tunnel"],
        &["TLS/1.0"],
        &["websocket, h2c"],
        &["h2c", "websocket"],
        &["websocket", "h2c"],
    ] {
        let mut request = Request::new("GET", "/public/")
            .header("Connection: Upgrade, HTTP2-Settings")
            .header("HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
            .header("Sec-WebSocket-Version: 13")
            .header("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
        let lines = upgrades.iter().map(|it| format!("Upgrade: {it}"));
        request.headers.extend(lines);
        let answer = scene.send(request).await;
        let switched = answer.header("x-upgrade");
        assert!(
            matches!(switched, None | Some("websocket")),
            "{upgrades:?} {answer:?}"
        );
        assert!(
            answer.status != 101 || switched.is_some(),
            "{upgrades:?} {answer:?}"
        );
        let got = answer.app_got().unwrap_or("").to_lowercase();
        assert!(!got.contains("http2-settings:"), "{got}");
    }
}

#[rstest]
#[tokio::test]
async fn who_is_revoked_does_not_pass(#[values(Nginx, Caddy, Haproxy, Traefik, Envoy)] kind: Kind) {
    let scene = Scene::set(kind).await;
    let session = scene.registered().await;
    let ada = format!("Cookie: {session}");
    let ask = async || {
        scene
            .send(Request::new("GET", "/").header(&*ada))
            .await
            .status
    };
    assert_eq!(ask().await, 200);
    let ended = scene
        .call("POST", "/api/logout", &session, String::new())
        .await;
    assert_eq!(ended.status, 204);
    assert_eq!(ask().await, 401);
    // Not by two headers either, which some proxies join.
    for others in ["X: y", "Cookie: a=1"] {
        let request = Request::new("GET", "/public/").header(others).header(&*ada);
        let open = scene.send(request).await;
        let got = open.app_got().unwrap();
        assert_eq!(identity(got), [], "{got}");
        assert!(!got.contains("gatelodge_session"), "{got}");
    }
}

#[rstest]
#[tokio::test]
async fn without_gatelodge_nothing_passes(
    #[values(Nginx, Caddy, Haproxy, Traefik, Envoy)] kind: Kind,
) {
    let scene = Scene::set(kind).await;
    let ada = format!("Cookie: {}", scene.registered().await);
    scene.network.cut();
    for target in ["/", "/public/", "/admin/", "/closed/"] {
        let answer = scene.send(Request::new("GET", target).header(&*ada)).await;
        assert!((500..=599).contains(&answer.status), "{answer:?}");
        if matches!(kind, Nginx | Haproxy) {
            assert_eq!(answer.header("retry-after"), Some("2"), "{answer:?}");
        }
        assert_eq!(answer.app_got(), None);
    }
    // HAProxy 2.6 asks four times, and Traefik waits for half a minute.
    if matches!(kind, Nginx | Caddy | Envoy) {
        scene.network.silence();
        let answer = scene.send(Request::new("GET", "/").header(&*ada)).await;
        assert!((500..=599).contains(&answer.status), "{answer:?}");
    }
    scene.network.pass();
    eventually("it passes again", async || {
        let answer = scene.send(Request::new("GET", "/").header(&*ada)).await;
        answer.status == 200
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn gatelodge_is_itself_under_its_own_name(
    #[values(Nginx, Caddy, Haproxy, Traefik, Envoy)] kind: Kind,
) {
    let scene = Scene::set(kind).await;
    let session = scene.registered().await;
    let sessions = scene
        .call("GET", "/api/sessions", &session, String::new())
        .await;
    let sessions: serde_json::Value = serde_json::from_str(&sessions.body).unwrap();
    let address = &sessions["sessions"][0]["ip"];
    assert!(address.is_string() && address != ELSEWHERE, "{address}");
    for path in ["forward-auth", "auth-request", "ext-authz/public/"] {
        let path = format!("/api/authz/{path}");
        let answer = scene.call("GET", &path, &session, String::new()).await;
        assert_eq!(answer.status, 404, "{path} {answer:?}");
    }
}

/// Whatever else is under the name is the app's.
#[tokio::test]
async fn gatelodge_and_an_app_can_share_a_name() {
    let scene = Scene::set(NginxOneHost).await;
    let session = scene.registered().await;
    let ada = format!("Cookie: {session}");
    for target in ["/", "/api/notes", "/loginx", "/api/authz/forward-auth"] {
        let refused = scene.send(Request::new("GET", target)).await;
        assert_eq!(refused.status, 401, "{target} {refused:?}");
        let passed = scene.send(Request::new("GET", target).header(&*ada)).await;
        let got = passed
            .app_got()
            .unwrap_or_else(|| panic!("{target} {passed:?}"));
        assert_eq!(identity(got).len(), 5, "{got}");
        assert!(!got.contains("gatelodge_session"), "{got}");
    }
    let logout = scene
        .send(Request::new("GET", "/logout").header(&*ada))
        .await;
    assert_eq!(logout.app_got(), None, "{logout:?}");
    let page = Request::new("GET", "/notes").header("Sec-Fetch-Mode: navigate");
    let login = "https://app.example.com/login?return_to=http%3A%2F%2Fapp.example.com%2Fnotes";
    assert_eq!(scene.send(page).await.header("location"), Some(login));
    let whoami = scene
        .call("GET", "/api/sessions/whoami", &session, String::new())
        .await;
    assert_eq!(whoami.status, 200, "{whoami:?}");
    // Those who verify JWTs show a credential, and no session.
    let feed = Request::new("GET", "/api/revocations").header(&*ada);
    let feed = scene.send(feed).await;
    assert_eq!((feed.status, feed.app_got()), (401, None), "{feed:?}");
    let closed = scene
        .send(Request::new("GET", "/closed/").header(&*ada))
        .await;
    assert_eq!(closed.status, 403, "{closed:?}");
}
