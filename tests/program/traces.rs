//! Traces, as a collector gets them.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use gatelodge::startup::generate_key;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Program, command};
use crate::support::app::{PASSWORD, TestDatabase};
use crate::support::collector::{Collector, Seen};
use crate::support::servers::{REDIS, free_port};
use crate::support::{Answer, Browser, eventually, within};

/// What a proxy has begun, and wants to be gone on with (W3C Trace Context, 3.2).
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traced(folder: &Path, endpoint: &str) -> Command {
    let mut command = command(folder);
    command.env("GATELODGE_TRACES__ENDPOINT", endpoint);
    command
}

async fn log_in_within(browser: &mut Browser, flags: &str) -> Answer {
    let body = json!({ "email": "ada@example.com", "password": PASSWORD });
    let request = browser.request(Method::POST, "/api/login").json(&body);
    let parent = format!("00-{TRACE}-{PARENT}-{flags}");
    browser.send(request.header("traceparent", parent)).await
}

struct Trace(Vec<Seen>);

impl Trace {
    /// All that belongs to the request of that name, once it is there with a step in it.
    async fn of(collector: &Collector, name: &str, step: &str) -> Self {
        let mut found = Vec::new();
        eventually("it is traced", async || {
            let spans = collector.spans();
            let root = spans.iter().find(|span| span.name == name);
            found = root.map_or_else(Vec::new, |root| {
                let same = |span: &&Seen| span.trace == root.trace;
                spans.iter().filter(same).cloned().collect()
            });
            found.iter().any(|span| span.name == step)
        })
        .await;
        Self(found)
    }

    #[track_caller]
    fn one(&self, name: &str) -> &Seen {
        let mut found = self.0.iter().filter(|span| span.name == name);
        let (Some(one), None) = (found.next(), found.next()) else {
            panic!("not one {name}: {:#?}", self.0);
        };
        one
    }

    #[track_caller]
    fn assert_child(&self, child: &str, parent: &str) {
        let parents = self.0.iter().filter(|span| span.name == parent);
        let children = self.0.iter().filter(|span| span.name == child);
        let ids: Vec<_> = parents.map(|span| &span.id).collect();
        let mut theirs = children.map(|span| &span.parent);
        assert!(
            theirs.any(|of| ids.contains(&of)),
            "{child} is no step of {parent}: {:#?}",
            self.0
        );
    }
}

fn start_line(program: &Program) -> Value {
    let log = program.log();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut started = lines.filter(|line| line["message"] == "started");
    started.next().unwrap()
}

#[tokio::test]
async fn a_request_is_traced_from_the_handler_to_the_stores() {
    let (collector, database) = (Collector::start(), TestDatabase::create().await);
    let key = generate_key();
    let start = |folder: &Path| {
        let mut command = traced(folder, &collector.endpoint);
        command
            .env("DATABASE_URL", &database.url)
            .env("REDIS_URL", &REDIS.url)
            .env("GATELODGE_REDIS__KEY_PREFIX", &database.name)
            .env("GATELODGE_SECRETS__KEYS", &key)
            .env("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1");
        Program::run(command)
    };
    let folder = tempfile::tempdir().unwrap();
    let program = start(folder.path());
    let mut ada = program.browser();
    assert_eq!(ada.register("ada@example.com", PASSWORD).await.status, 201);
    let answer = log_in_within(&mut ada, "01").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let trace = Trace::of(&collector, "POST /api/login", "issued").await;

    let root = trace.one("POST /api/login");
    assert_eq!((&*root.trace, &*root.parent), (TRACE, PARENT));
    assert_eq!(root.kind, SpanKind::Server);
    let user = answer.json()["user"]["id"].as_str().unwrap().to_owned();
    for (word, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/login"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("server.address", "localhost"),
        ("client.address", "127.0.0.1"),
    ] {
        assert_eq!(root.attributes[word], value);
    }
    let request_id = answer.header("x-request-id").unwrap();
    assert_eq!(root.attributes["gatelodge.request_id"], request_id);
    assert!(!root.is_error);
    for (step, of) in [
        ("log_in", "POST /api/login"),
        ("find_credentials", "log_in"),
        ("reserve_attempt", "log_in"),
        ("hash", "log_in"),
        ("issue_session", "log_in"),
        ("issued", "log_in"),
        ("SET", "issued"),
    ] {
        trace.assert_child(step, of);
    }
    for (step, system) in [("issue_session", "postgresql"), ("SET", "redis")] {
        let step = trace.one(step);
        assert_eq!(step.kind, SpanKind::Client);
        assert_eq!(step.attributes["db.system.name"], system);
        assert_eq!(step.attributes["db.operation.name"], step.name);
        assert!(step.nanos <= root.nanos, "{step:?} {root:?}");
    }
    let instance = start_line(&program)["instance"].clone();
    for (word, value) in [
        ("service.name", json!("gatelodge")),
        ("service.version", json!(env!("CARGO_PKG_VERSION"))),
        ("service.instance.id", instance),
    ] {
        assert_eq!(json!(root.resource[word]), value);
    }

    // Another instance has no copy at hand, and asks Redis; then it has one.
    let other = start(tempfile::tempdir().unwrap().path());
    let mut there = ada.at(other.address);
    assert_eq!(there.whoami().await.status, 200);
    let trace = Trace::of(&collector, "GET /api/sessions/whoami", "GET").await;
    trace.assert_child("check", "GET /api/sessions/whoami");
    trace.assert_child("GET", "check");
    let root = trace.one("GET /api/sessions/whoami");
    assert_eq!(root.attributes["user.id"], user);
    assert_eq!(there.whoami().await.status, 200);
    eventually("a check of a copy is a span by itself", async || {
        let spans = collector.spans();
        let mut checks = spans.iter().filter(|span| span.name == root.name);
        checks.any(|check| !spans.iter().any(|span| span.parent == check.id))
    })
    .await;
    assert!(
        !other.log().contains("whoami"),
        "the log has a level of its own"
    );

    let spans = collector.spans();
    let ids: Vec<_> = spans.iter().map(|span| &*span.id).collect();
    for span in &spans {
        let is_known = span.parent.is_empty() || ids.contains(&&*span.parent);
        assert!(is_known || span.parent == PARENT, "{span:?}");
        assert!(
            !span.parent.is_empty() || span.kind == SpanKind::Server,
            "{span:?}"
        );
        assert_eq!(span.events, 0);
    }
}

/// Anybody else could have each of their requests traced, under any name.
#[tokio::test]
async fn what_is_traced_is_decided_by_trusted_proxies_and_else_by_the_ratio() {
    let collector = Collector::start();
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut believing = traced(folders[0].path(), &collector.endpoint);
    believing
        .env("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .env("GATELODGE_TRACES__SAMPLE_RATIO", "0");
    let [believing, other] =
        [believing, traced(folders[1].path(), &collector.endpoint)].map(Program::run);
    for program in [&believing, &other] {
        let mut ada = program.browser();
        assert_eq!(ada.register("ada@example.com", PASSWORD).await.status, 201);
        for flags in ["00", "01"] {
            assert_eq!(log_in_within(&mut ada, flags).await.status, 200);
        }
    }
    let roots = || -> Vec<Seen> {
        let spans = collector.spans().into_iter();
        spans.filter(|span| span.kind == SpanKind::Server).collect()
    };
    eventually("all is traced", async || roots().len() >= 4).await;
    drop((believing, other));
    let mut told: Vec<_> = roots()
        .into_iter()
        .map(|root| (root.name, root.trace == TRACE))
        .collect();
    told.sort();
    let of = |name: &str, is_gone_on_with| (name.to_owned(), is_gone_on_with);
    assert_eq!(
        told,
        [
            of("POST /api/login", false),
            of("POST /api/login", false),
            of("POST /api/login", true),
            of("POST /api/register", false),
        ]
    );
}

/// How a collector fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    IsGone,
    Hangs,
}

#[rstest]
#[tokio::test]
async fn a_collector_that_fails_harms_nobody(
    #[values(Failure::IsGone, Failure::Hangs)] failure: Failure,
) {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let hanging = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let hanging = (failure == Failure::Hangs).then_some(hanging);
    let mut program = Program::run(traced(folder.path(), &format!("http://127.0.0.1:{port}")));
    let mut ada = program.browser();
    assert_eq!(ada.register("ada@example.com", PASSWORD).await.status, 201);
    let started = Instant::now();
    for _ in 0..200 {
        assert_eq!(ada.whoami().await.status, 200);
    }
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    within(Duration::from_secs(10), "it is told", async || {
        let log = program.log();
        log.contains("the collector takes no traces") && log.contains("spans are lost")
    })
    .await;
    drop(hanging);
    if failure == Failure::IsGone {
        let collector = Collector::at(port);
        assert_eq!(ada.whoami().await.status, 200);
        eventually("it is sent what comes", async || {
            !collector.spans().is_empty()
        })
        .await;
        eventually("it is told", async || {
            program.log().contains("the collector takes traces again")
        })
        .await;
    }
    assert_eq!(program.log().matches("takes no traces").count(), 1);
    program.signal("TERM");
    let status = program.ends_within(Duration::from_secs(8)).await;
    assert!(status.success());
}

#[tokio::test]
async fn what_was_traced_last_is_sent_before_the_end() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let mut program = Program::run(traced(folder.path(), &collector.endpoint));
    let mut ada = program.browser();
    assert_eq!(ada.register("ada@example.com", PASSWORD).await.status, 201);
    program.signal("TERM");
    assert!(program.ends_within(Duration::from_secs(8)).await.success());
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.name == "POST /api/register"));
}
