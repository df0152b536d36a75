//! The service as a stranger starts it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rstest::rstest;
use sqlx::{Connection as _, SqliteConnection};

use super::{Program, command, outcome, run};
use crate::support::app::PASSWORD;
use crate::support::eventually;
use crate::support::servers::free_port;

#[tokio::test]
async fn who_was_logged_in_is_so_after_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let mut ada = program.browser();
    assert_eq!(ada.register("ada@example.com", PASSWORD).await.status, 201);
    let mut gone = program.browser();
    gone.log_in("ada@example.com", PASSWORD).await;
    let mut thief = gone.clone();
    gone.log_out().await;
    program.signal("KILL");
    drop(program);

    let again = Program::start(folder.path());
    let mut ada = ada.at(again.address);
    let whoami = ada.whoami().await;
    assert_eq!(whoami.json()["user"]["email"], "ada@example.com");
    thief = thief.at(again.address);
    thief.whoami().await.assert_refused();
    assert_eq!(
        again
            .browser()
            .log_in("ada@example.com", PASSWORD)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_hash_that_is_broken_or_absurd_is_a_wrong_password_and_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let mut ada = program.browser();
    assert_eq!(ada.register("ada@example.com", PASSWORD).await.status, 201);
    let database = folder.path().join("data/gatelodge.db");
    let url = format!("sqlite://{}", database.display());
    let mut ledger = SqliteConnection::connect(&url).await.unwrap();
    for (reported, hash) in [
        "",
        "plain",
        "$2b$12$abc",
        "$2b$31$86s9iNqxu3AdfL8T/Ru72.6gGOGo57T1XqeC8qRQ17WcTuAlcjKx6",
        "$argon2id$v=19$m=4294967295,t=9,p=1$c2FsdHNhbHQ$1RxKq8Cum05oGhxOPLangg",
        "$scrypt$ln=40,r=8,p=1$c2FsdHNhbHQ$3AKE5puDsFN284q++Jy6ndmwiHRztDFBzd9xI+e9SUw",
        "pbkdf2_sha256$4294967295$saltsalt$SUE6PxvvYmenHI1W902wDsZaG/5re4h8AgjWaQcMJYE=",
    ]
    .iter()
    .enumerate()
    {
        let change = sqlx::query("update users set password_hash = $1").bind(hash);
        change.execute(&mut ledger).await.unwrap();
        let started = Instant::now();
        let answer = program.browser().log_in("ada@example.com", PASSWORD).await;
        answer.assert_problem(401, "invalid_credentials");
        assert!(started.elapsed() < Duration::from_secs(2), "{hash}");
        eventually("somebody hears of it", async || {
            program.log().matches("the stored password hash").count() > reported
        })
        .await;
    }
    assert!(program.log().contains(&ada.user_id().await));
}

#[tokio::test]
async fn it_is_ready_within_a_second_and_keeps_its_secrets_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let mut browser = program.browser();
    let request = browser.request(reqwest::Method::GET, "/health/ready");
    assert_eq!(browser.send(request).await.status, 200);

    let data = folder.path().join("data");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for file in [
        "gatelodge.key",
        "gatelodge.db",
        "gatelodge.db-wal",
        "gatelodge.lock",
    ] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    let key = std::fs::read(data.join("gatelodge.key")).unwrap();
    let mut fastest = program.started_in;
    drop(program);
    for _ in 0..2 {
        let again = Program::start(folder.path());
        fastest = fastest.min(again.started_in);
        let key_now = std::fs::read(data.join("gatelodge.key")).unwrap();
        assert_eq!(key_now, key, "the key is kept");
    }
    // The other tests may have the machine busy: the best of three.
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
}

#[tokio::test]
async fn a_signal_lets_it_finish() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Program::start(folder.path());
        program.browser().whoami().await.assert_refused();
        program.signal(signal);
        let status = program.ends_within(Duration::from_secs(5)).await;
        assert!(status.success(), "{signal}");
    }
}

#[test]
fn two_do_not_serve_from_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Program::start(folder.path());
    let second = run(folder.path(), &["serve"]);
    assert_eq!(second.status.code(), Some(1));
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(error.contains("another gatelodge serves from"), "{error}");
}

#[test]
fn a_generated_key_is_one_the_configuration_takes() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["keys", "generate"]);
    assert!(output.status.success());
    let key = String::from_utf8(output.stdout).unwrap();
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, &key).unwrap();
    let migrated = outcome(
        command(folder.path())
            .env("GATELODGE_SECRETS__KEYS_FILE", &key_file)
            .arg("migrate"),
    );
    assert!(
        migrated.status.success(),
        "{}",
        String::from_utf8_lossy(&migrated.stderr)
    );
    assert_ne!(
        run(folder.path(), &["keys", "generate"]).stdout,
        key.into_bytes()
    );
}

#[test]
fn an_old_schema_is_refused_if_it_may_not_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let refused = outcome(command(folder.path()).env("GATELODGE_DATABASE__MIGRATE", "false"));
    assert_eq!(refused.status.code(), Some(1));
    assert!(run(folder.path(), &["migrate"]).status.success());
}

#[test]
fn the_exit_status_tells_a_failure_from_a_misuse() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["--help"]).status.code(), Some(0));
    assert_eq!(
        run(folder.path(), &["no-such-command"]).status.code(),
        Some(2)
    );
    assert_eq!(
        run(folder.path(), &["--config", "missing.toml"])
            .status
            .code(),
        Some(1)
    );
}

/// A line for each time would let anybody fill the log.
#[tokio::test]
async fn a_proxy_that_is_not_known_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let mut proxy = program.browser();
    for _ in 0..10 {
        let answer = proxy.get("/api/authz/forward-auth").await;
        answer.assert_problem(403, "unknown_proxy");
    }
    let advice = "add its address to server.trusted_proxies";
    eventually("it is told of", async || program.log().contains(advice)).await;
    assert_eq!(program.log().matches(advice).count(), 1);
    let has_answered = program.log().contains("/api/authz/");
    assert!(!has_answered, "a check is for whoever debugs");
}

/// Blocks read from and written to disk by the process so far.
#[cfg(target_os = "linux")]
fn disk_io(program: &Program) -> Vec<String> {
    let io = std::fs::read_to_string(format!("/proc/{}/io", program.id())).unwrap();
    io.lines()
        .filter(|line| line.starts_with("read_bytes") || line.starts_with("write_bytes"))
        .map(str::to_owned)
        .collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_check_touches_no_disk() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let mut ada = program.browser();
    assert_eq!(ada.register("ada@example.com", PASSWORD).await.status, 201);
    let before = disk_io(&program);
    for _ in 0..200 {
        assert_eq!(ada.whoami().await.status, 200);
    }
    assert_eq!(disk_io(&program), before);
}

/// Behind a proxy that is named, on the same machine, it is what every page recommends.
#[rstest]
#[case("https://auth.example.com", "127.0.0.1", None)]
#[case(
    "https://auth.example.com",
    "192.0.2.1",
    Some("only this machine reaches")
)]
#[case("http://localhost:1", "192.0.2.1", Some("come to http://localhost:1"))]
#[case("http://localhost:1", "127.0.0.1", None)]
#[tokio::test]
async fn an_address_to_which_nobody_comes_is_told_of(
    #[case] public_url: &str,
    #[case] proxies: &str,
    #[case] told: Option<&str>,
) {
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        (
            "GATELODGE_SERVER__BIND",
            format!("127.0.0.1:{}", free_port()),
        ),
        ("GATELODGE_SERVER__PUBLIC_URL", public_url.to_owned()),
        ("GATELODGE_SERVER__TRUSTED_PROXIES", proxies.to_owned()),
    ];
    let mut check = command(folder.path());
    let checked = outcome(check.envs(environment.clone()).args(["config", "check"]));
    let checked = String::from_utf8(checked.stdout).unwrap();
    let mut serve = command(folder.path());
    serve.envs(environment);
    let program = Program::run(serve);
    let started = eventually("it serves", async || program.log().contains("started"));
    started.await;
    program.signal("INT");
    eventually("it has ended", async || program.log().contains("stopped")).await;
    let log = program.log();
    assert_eq!(log.contains("do not fit"), told.is_some(), "{log}");
    assert_eq!(checked.contains("warn"), told.is_some(), "{checked}");
    let told = told.unwrap_or_default();
    assert!(log.contains(told) && checked.contains(told), "{log}");
}
