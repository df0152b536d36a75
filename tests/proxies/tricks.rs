//! What a client may try.

use std::path::Path;

use rstest::rstest;

use super::client::{Request, send_bytes};
use super::proxy::Kind::{self, Caddy, Caddy210, Envoy, Haproxy, Nginx, NginxOneHost, Traefik};
use super::scene::{Scene, identity};
use super::upstream::MARK;

/// What a client may say of who it is, and of what it asks for.
const FORGED: [&str; 30] = [
    "Remote-User: root",
    "remote-user: root",
    "REMOTE-USER: root",
    "Remote_User: root",
    "REMOTE_USER: root",
    "Remote-Email: root@example.com",
    "Remote_Email: root@example.com",
    "Remote-Name: root",
    "Remote_Name: root",
    "Remote-Groups: admin",
    "Remote_Groups: admin",
    "remote-groups: admin",
    "Remote-Session: 1",
    "Remote_Session: 1",
    "X-Auth-Request-User: root",
    "X-Auth-Request-Email: root@example.com",
    "X-Auth-Request-Preferred-Username: root",
    "X-Auth-Request-Groups: admin",
    "X_Auth_Request_User: root",
    "X_Auth_Request_Groups: admin",
    "X-Original-URL: http://app.example.com/public/",
    "X-Original-Method: GET",
    "X-Original-URI: /public/",
    "X-Forwarded-Uri: /public/",
    "X-Forwarded-Method: OPTIONS",
    "X-Forwarded-Host: elsewhere.example",
    "X-Forwarded-Proto: gopher",
    "X-Forwarded-For: 127.0.0.1",
    "Forwarded: for=127.0.0.1;host=elsewhere.example",
    "X-HTTP-Method-Override: GET",
];

/// What apps take for who it is, or for what was asked for, that Gatelodge never says.
const DROPPED: [&str; 13] = [
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Prefix",
    "X-Forwarded-Scheme",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Original-Method",
    "X-Original-URI",
    "X-Original-URL",
    "X-Rewrite-URL",
    "HTTP2-Settings",
    "Forwarded",
];

#[rstest]
#[tokio::test]
async fn what_a_client_says_of_itself_is_thrown_away(
    #[values(Nginx, Caddy, Caddy210, Haproxy, Traefik, Envoy)] kind: Kind,
) {
    let scene = Scene::set(kind).await;
    let ada = format!("Cookie: {}", scene.registered().await);
    let forging = |target: &str, also: &[&str]| {
        let mut request = Request::new("GET", target);
        let lines = FORGED.iter().chain(also);
        request.headers.extend(lines.map(|line| (*line).to_owned()));
        request
    };
    let known = scene.send(Request::new("GET", "/").header(&*ada)).await;
    let known = identity(known.app_got().unwrap());
    let passed = scene.send(forging("/", &[&ada])).await;
    assert_eq!(identity(passed.app_got().unwrap()), known, "{passed:?}");
    let mut request = Request::new("GET", "/public/");
    let lines = DROPPED.iter().map(|name| format!("{name}: forged"));
    request.headers.extend(lines);
    let dropped = scene.send(request).await;
    let got = dropped.app_got().unwrap();
    assert!(!got.contains("forged"), "{got}");
    let anyone = scene.send(forging("/public/", &[])).await;
    assert_eq!(identity(anyone.app_got().unwrap()), [], "{anyone:?}");
    for (target, also, status) in [
        ("/", &[][..], 401),
        ("/admin/", &[&*ada][..], 403),
        ("/closed/", &[&*ada][..], 403),
    ] {
        let refused = scene.send(forging(target, also)).await;
        assert_eq!(refused.status, status, "{target} {refused:?}");
    }

    // Nor can a client have it that a proxy drops what the proxy itself has said.
    let dropping = "Connection: close, Remote-User, Remote-Groups, Cookie, X-Forwarded-Uri, \
                    X-Forwarded-Method, X-Forwarded-Host, X-Original-URL, X-Original-Method";
    let passed = scene.send(forging("/", &[&ada, dropping])).await;
    match passed.app_got() {
        Some(got) => assert_eq!(identity(got), known, "{got}"),
        None => assert!(matches!(passed.status, 400 | 401 | 403), "{passed:?}"),
    }
    let anyone = scene.send(forging("/public/", &[dropping])).await;
    match anyone.app_got() {
        Some(got) => assert_eq!(identity(got), [], "{got}"),
        None => assert!(matches!(anyone.status, 400 | 401 | 403), "{anyone:?}"),
    }
    let id = "01a219c0-4b20-719c-abe0-2e1ac2995502";
    let mut named = Request::new("GET", "/login").header(format!("X-Request-Id: {id}"));
    named.host = "auth.example.com";
    let answer = scene.send(named).await;
    assert!(
        answer.header("x-request-id").is_some_and(|own| own != id),
        "{answer:?}"
    );
    for target in ["/admin/", "/closed/"] {
        let refused = scene.send(forging(target, &[&ada, dropping])).await;
        assert!(
            matches!(refused.status, 400 | 401 | 403),
            "{target} {refused:?}"
        );
    }
}

/// Which id it is logged under, and whether it is traced.
#[test]
fn every_proxy_that_is_shipped_drops_what_a_client_says_of_its_requests_id_and_trace() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    for file in [
        "nginx.conf",
        "nginx/check.conf",
        "nginx/pages.conf",
        "haproxy/balance.cfg",
        "haproxy/haproxy.cfg",
        "caddy/Caddyfile",
        "traefik/gatelodge.yaml",
        "envoy/envoy.yaml",
    ] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let lines: Vec<_> = text
            .lines()
            .map(|line| line.trim().to_lowercase())
            .collect();
        for header in ["x-request-id", "traceparent"] {
            let is_named = |line: &String| !line.starts_with('#') && line.contains(header);
            assert!(lines.iter().any(is_named), "{file}: {header}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn no_way_to_write_a_path_leads_round_a_rule(
    #[values(Nginx, Caddy, Haproxy, Traefik, Envoy)] kind: Kind,
) {
    let scene = Scene::set(kind).await;
    let ada = format!("Cookie: {}", scene.registered().await);
    for target in [
        "/public/../admin/",
        "/public/%2e%2e/admin/",
        "/public/.%2E/admin/",
        "/public/..%20/admin/",
        "/public/..%2fadmin/",
        "/public%2f..%2fadmin/",
        "/public/..%5cadmin/",
        "/public/..\\admin/",
        "/public\\..\\admin/",
        "/./admin/",
        "/%2e/admin/",
        "//admin/",
        "///admin/",
        "/public//../admin/",
        "/admin//",
        "/admin%2f",
        "/admin;x/",
        "/admin;/",
        "/;/admin/",
        "/public/..;/admin/",
        "/ADMIN/",
        "/Admin/users",
        "/%41dmin/",
        "/admin%00/",
        "/admin%20/",
        "/admin./",
        "/admin%0a/",
        "/%61%64%6d%69%6e/",
        "/%2561dmin/",
        "/public/%252e%252e/admin/",
        "/%c0%afadmin/",
        "/%EF%BD%81dmin/",
        "/admin#/../public/",
        "/admin/?/../public/",
        "http://app.example.com/admin/",
        "http://elsewhere.example/admin/",
        "http://auth.example.com/admin/",
        "app.example.com/admin/",
        "*",
        "/ admin/",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            let answer = scene.send(Request::new(method, target).header(&*ada)).await;
            assert_eq!(answer.app_got(), None, "{method} {target} {answer:?}");
        }
    }
    for method in ["get", "Get", "TRACE"] {
        let answer = scene
            .send(Request::new(method, "/admin/").header(&*ada))
            .await;
        assert_eq!(answer.app_got(), None, "{method} {answer:?}");
    }
    for host in [
        "app.example.com.evil.example",
        "evil.example",
        "auth.example.com@app.example.com",
        "app.example.com, evil.example",
        "",
    ] {
        let mut request = Request::new("GET", "/admin/").header(&*ada);
        request.host = host;
        let answer = scene.send(request).await;
        assert_eq!(answer.app_got(), None, "{host} {answer:?}");
    }
}

/// What a proxy sends to the app by one host is not decided about by another.
#[rstest]
#[tokio::test]
async fn no_host_stands_for_another(
    #[values(Nginx, NginxOneHost, Caddy, Haproxy, Traefik, Envoy)] kind: Kind,
) {
    let scene = Scene::set(kind).await;
    let ada = format!("Cookie: {}", scene.registered().await);
    for (target, host) in [
        ("http://app.example.com/secret/", "status.example.com"),
        ("http://app.example.com/secret/", ""),
        ("http://status.example.com/secret/", "app.example.com"),
        ("http://status.example.com/secret/", "status.example.com"),
        ("/secret/", "status.example.com"),
        ("/secret/", "other.example.com"),
        ("/secret/", "app.example.com,status.example.com"),
        ("/secret/", "status.example.com,app.example.com"),
        ("/secret/", "app.example.com, status.example.com"),
        ("/secret/", "app.example.com, x.example.com"),
        ("/", "status.example.com"),
        ("/", "app.example.com,status.example.com"),
    ] {
        for cookie in ["X: y", &ada] {
            let mut request = Request::new("GET", target).header(cookie);
            request.host = host;
            let answer = scene.send(request).await;
            assert_eq!(answer.app_got(), None, "{target} {host} {answer:?}");
        }
    }
}

/// Ways to have a proxy and a server disagree about where a request ends.
const FRAMINGS: [&str; 10] = [
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Content-Length: 5\r\nContent-Length: 100",
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Content-Length: 5\r\nTransfer-Encoding: xchunked",
    "Content-Length: 5\r\nTransfer-Encoding : chunked",
    "Content-Length: 5\r\nTransfer-Encoding:\x0bchunked",
    "Content-Length: 5\r\nX: y\n Transfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5",
];

#[rstest]
#[tokio::test]
async fn no_request_hides_in_another(#[values(Nginx, Caddy, Haproxy, Traefik, Envoy)] kind: Kind) {
    let scene = Scene::set(kind).await;
    let ada = scene.registered().await;
    for framing in FRAMINGS {
        let one = format!("Host: app.example.com\r\nCookie: {ada}\r\n");
        let request = format!(
            "POST /public/ HTTP/1.1\r\n{one}{framing}\r\n\r\n0\r\n\r\n\
             GET /admin/ HTTP/1.1\r\n{one}\r\n\
             GET /public/last HTTP/1.1\r\n{one}Connection: close\r\n\r\n"
        );
        let answers = send_bytes(scene.proxy.address(), &request).await;
        let reached = answers.split(MARK.trim_end()).skip(1);
        for got in reached.filter_map(|rest| rest.split_once("\r\n\r\n")) {
            assert!(!got.1.starts_with("GET /admin/"), "{framing:?} {answers}");
        }
        let own = Request::new("GET", "/public/mine")
            .send(scene.proxy.address())
            .await;
        let got = own
            .app_got()
            .unwrap_or_else(|| panic!("{framing:?} {own:?}"));
        assert!(got.starts_with("GET /public/mine "), "{framing:?} {got}");
    }
}
