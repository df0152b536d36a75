//! Where the metrics are told, and to whom.

use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::instance::Instance;
use super::scrape::Scrape;
use crate::support::program::{Program, command};
use crate::support::{eventually, within};

#[tokio::test]
async fn metrics_are_told_on_their_own_listener_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let instance = Instance::start(command(folder.path()));
    let told = instance.ask(Method::GET, "/metrics").await;
    assert_eq!(told.status(), 200);
    let kind = told.headers()["content-type"].to_str().unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let missing = Scrape::parse(&told.text().await.unwrap()).missing();
    // Nobody has asked for a route yet.
    let of_routes = missing.iter().filter(|name| !name.contains("_http_"));
    assert_eq!(of_routes.count(), 0, "{missing:?}");

    let head = instance.ask(Method::HEAD, "/metrics").await;
    assert_eq!(head.status(), 200);
    assert_eq!(head.text().await.unwrap(), "");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let refused = instance.ask(method, "/metrics").await;
        assert_eq!(refused.status(), 405);
        assert_eq!(refused.headers()["allow"], "GET, HEAD");
    }
    for path in ["/", "/metrics/", "/health/ready", "/api/sessions/whoami"] {
        let answer = instance.ask(Method::GET, path).await;
        assert_eq!(answer.status(), 404, "{path}");
    }

    let public = instance.program.browser().get("/metrics").await;
    public.assert_problem(404, "not_found");
}

#[tokio::test]
async fn who_hangs_at_the_metrics_holds_up_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let instance = Instance::start(command(folder.path()));
    let mut kept = TcpStream::connect(instance.metrics).await.unwrap();
    assert!(is_told_over(&mut kept).await);
    let mut silent = Vec::new();
    // All that it takes, and one that waits for a place.
    for n in 0..33 {
        let mut stream = TcpStream::connect(instance.metrics).await.unwrap();
        if n % 2 == 0 {
            let asked = stream
                .write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\n")
                .await;
            asked.unwrap();
        }
        silent.push(stream);
    }
    instance.program.browser().whoami().await.assert_refused();
    // They are cut, and make room.
    within(Duration::from_secs(25), "it tells again", async || {
        let asked = instance.ask(Method::GET, "/metrics");
        tokio::time::timeout(Duration::from_millis(500), asked)
            .await
            .is_ok()
    })
    .await;
    assert!(is_told_over(&mut kept).await, "who asks in time is not cut");
}

/// Whether a scraper that keeps its connection gets an answer over it.
async fn is_told_over(connection: &mut TcpStream) -> bool {
    let asked = b"HEAD /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut answer = vec![0; 1024];
    connection.write_all(asked).await.is_ok()
        && matches!(connection.read(&mut answer).await, Ok(length @ 1..)
            if answer[..length].starts_with(b"HTTP/1.1 200 "))
}

#[tokio::test]
async fn metrics_are_told_while_the_last_requests_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = Instance::start(command(folder.path()));
    let mut last = TcpStream::connect(instance.program.address).await.unwrap();
    let head = "POST /api/login HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/json\r\ncontent-length: 2\r\n\
                expect: 100-continue\r\n\r\n";
    last.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 25];
    last.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    instance.program.signal("TERM");
    eventually("nobody else is let in", async || {
        TcpStream::connect(instance.program.address).await.is_err()
    })
    .await;
    assert_eq!(instance.ask(Method::GET, "/metrics").await.status(), 200);
    last.write_all(b"{}").await.unwrap();
    let mut answer = Vec::new();
    last.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 422"));
    let status = instance.program.ends_within(Duration::from_secs(5)).await;
    assert!(status.success());
}

#[tokio::test]
async fn metrics_are_off_unless_they_are_given_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path());
    program.browser().whoami().await.assert_refused();
    let said = [program.line(), program.line()].join("\n");
    assert!(!said.contains("metrics"), "{said}");
}
