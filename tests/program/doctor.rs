//! What a doctor says of deployments that are right, and of ones that are not.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Output;

use gatelodge::startup::generate_key;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::commands::Beside;
use super::{Program, command, outcome, run};
use crate::support::Stack::Scaled;
use crate::support::servers::OwnRedis;

/// What was found of each thing: its state, and what is said of it.
struct Report {
    findings: Vec<Value>,
    text: String,
}

impl Report {
    #[track_caller]
    fn of(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap();
        let report = Self {
            findings: report["findings"].as_array().unwrap().clone(),
            text,
        };
        let fails = report
            .findings
            .iter()
            .any(|finding| finding["state"] == "fail");
        assert_eq!(
            output.status.code(),
            Some(i32::from(fails)),
            "{}",
            report.text
        );
        for finding in &report.findings {
            assert_eq!(
                finding["mend"].is_null(),
                finding["state"] == "ok",
                "{finding}"
            );
        }
        report
    }

    #[track_caller]
    fn is(&self, about: &str, state: &str, found: &str) {
        let mut of_it = self.findings.iter().filter(|one| one["about"] == about);
        let is_so =
            |one: &Value| one["state"] == state && one["found"].as_str().unwrap().contains(found);
        assert!(of_it.any(is_so), "{about}: {}", self.text);
    }
}

#[tokio::test]
async fn an_embedded_instance_that_is_right_is_found_so_running_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let examine = || Report::of(&run(folder.path(), &["doctor", "--json"]));
    let report = examine();
    report.is("configuration", "ok", "right");
    report.is("server.bind", "ok", "127.0.0.1:0");
    report.is(
        "ledger",
        "ok",
        "data/gatelodge.db is made at the first start",
    );
    report.is("password cost", "warn", "4: ");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing was made"
    );
    let program = Program::start(folder.path());
    let report = examine();
    report.is("files", "ok", "only their owner");
    report.is("ledger: schema", "ok", "up to date");
    report.is("instances", "ok", "1");
    drop(program);
    let key = folder.path().join("data/gatelodge.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    examine().is(
        "files",
        "warn",
        "others on this machine can read data/gatelodge.key",
    );
    let lines = run(folder.path(), &["doctor"]);
    let lines = String::from_utf8(lines.stdout).unwrap();
    assert!(lines.contains("\nwarn     files: others"), "{lines}");
    assert!(
        lines.contains("\n         → chmod go= data/gatelodge.key"),
        "{lines}"
    );
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    examine().is("files", "warn", "data/gatelodge.key");
    // As systemd and Kubernetes hand out keys. Only root can give a file away.
    for (user, group) in [(None, Some(65534)), (Some(65534), Some(65534))] {
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        if chown(&key, user, group).is_ok() {
            examine().is("files", "ok", "only their owner");
            fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
            examine().is("files", "warn", "data/gatelodge.key");
        }
    }
}

/// What it takes for `exchange.*` to be whole.
const EXCHANGE: &[(&str, &str)] = &[
    ("GATELODGE_EXCHANGE__ISSUER", "https://old.example.com"),
    ("GATELODGE_EXCHANGE__AUDIENCE", "shop"),
];

#[test]
fn files_of_secrets_are_examined_too() {
    let folder = tempfile::tempdir().unwrap();
    let key = r#"{"keys":[{"kty":"oct","k":"aHVudGVyMiBodW50ZXIyIGh1bnRlcjIgaHVudGVyMiE"}]}"#;
    let secret = "hunter2 hunter2 hunter2 hunter2!";
    let ring = generate_key();
    let on_postgresql = [
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
        ("GATELODGE_SECRETS__KEYS", &ring),
    ];
    for (name, text, variables) in [
        ("SECRETS__KEYS", &*ring, [].as_slice()),
        ("DATABASE__URL", "sqlite://data/gatelodge.db", &[]),
        ("REDIS__URL", "redis://:hunter2@127.0.0.1:1", &on_postgresql),
        ("REVOCATIONS__CREDENTIALS", &"a".repeat(64), &[]),
        ("EXCHANGE__SECRET", secret, EXCHANGE),
        ("EXCHANGE__JWKS", key, EXCHANGE),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let examine = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let mut command = command(folder.path());
            command.env(format!("GATELODGE_{name}_FILE"), &path);
            command.envs(variables.iter().copied());
            Report::of(&outcome(command.args(["doctor", "--json"])))
        };
        examine(0o600).is("files", "ok", "only their owner");
        examine(0o604).is("files", "warn", name);
    }
}

#[tokio::test]
async fn every_mistake_in_the_configuration_is_told_and_what_is_hardly_meant() {
    let folder = tempfile::tempdir().unwrap();
    let examine = |variables: &[(&str, &str)]| {
        let mut command = command(folder.path());
        command.envs(variables.iter().copied());
        Report::of(&outcome(command.args(["doctor", "--json"])))
    };
    let report = examine(&[
        ("GATELODGE_SERVER__BIND", "nonsense"),
        ("GATELODGE_NONSENSE", "1"),
    ]);
    report.is("configuration", "fail", "server.bind is \"nonsense\"");
    report.is("configuration", "fail", "nonsense is not a key");
    let public = ("GATELODGE_SERVER__PUBLIC_URL", "https://auth.example.com");
    let proxies = |proxies| examine(&[public, ("GATELODGE_SERVER__TRUSTED_PROXIES", proxies)]);
    let report = proxies("10.0.0.1,0.0.0.0/0");
    report.is("server.trusted_proxies", "fail", "0.0.0.0/0 is everybody");
    report.is("server.bind", "ok", "127.0.0.1:0, for a proxy");
    proxies("::/0").is("server.trusted_proxies", "fail", "::/0 is everybody");
    proxies("10.0.0.0/7").is("server.trusted_proxies", "warn", "much of the Internet");
    proxies("10.0.0.0/8").is("server.trusted_proxies", "ok", "10.0.0.0/8");
    examine(&[public]).is("server.trusted_proxies", "warn", "none, though https");
    proxies("127.0.0.1").is("server.bind", "ok", "127.0.0.1:0, for a proxy");
    let bind = |address| examine(&[("GATELODGE_SERVER__BIND", address)]);
    bind("0.0.0.0:8080").is("server.bind", "ok", "0.0.0.0:8080");
    bind("127.0.0.1:9000").is(
        "server.bind",
        "warn",
        "browsers and links are to come to http://localhost:8080",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_wrong_in_postgresql_is_found() {
    let beside = Beside::a_service(Scaled).await;
    let examine = || Report::of(&beside.run(&["doctor", "--json"]));
    let alone = examine();
    // As the tests start it.
    alone.is("ledger: durability", "fail", "fsync is off");
    alone.is("ledger", "ok", "PostgreSQL 1");
    alone.is("ledger: writes", "ok", "it takes them");
    alone.is("ledger: standbys", "ok", "none");
    alone.is(
        "ledger: clock",
        "ok",
        "differs from this machine's by 0.0 s",
    );
    alone.is("ledger: pg_trgm", "ok", "it is there");
    alone.is("ledger: schema", "ok", "up to date");
    alone.is("redis", "ok", "it reads and writes");
    alone.is("redis: pushes", "ok", "what is published is heard");
    alone.is("redis: memory", "ok", "no limit");
    alone.is("redis: clock", "ok", "0.0 s");
    alone.is("instances", "ok", "1");
    let mut other = beside.app.another_instance().await;
    examine().is("instances", "ok", "2, and all have read the revocation log");
    let room = "database.max_connections and 1 more";
    examine().is("ledger: connections", "ok", "2 × 6 at most, of ");
    examine().is("ledger: connections", "ok", room);
    other.stop().await;

    let (_, name) = beside.app.database_url().rsplit_once('/').unwrap();
    let mut database = PgConnection::connect(beside.app.database_url())
        .await
        .unwrap();
    let mut set = async |what: &str| {
        let statement = format!("alter database {name} {what}");
        let done = sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut database)
            .await;
        done.unwrap();
    };
    set("set default_transaction_read_only = on").await;
    examine().is("ledger: writes", "fail", "it is read-only");
    set("reset default_transaction_read_only").await;
    beside.app.allow_ledger(false).await;
    let closed = examine();
    closed.is("ledger", "fail", "is not currently accepting connections");
    closed.is("redis", "ok", "it reads and writes");
    beside.app.allow_ledger(true).await;
    examine().is("ledger: writes", "ok", "it takes them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_program_is_not_said_to_be_mended_by_the_next_start() {
    let beside = Beside::a_service(Scaled).await;
    let mut database = PgConnection::connect(beside.app.database_url())
        .await
        .unwrap();
    let url = format!(
        "{}?options=-c%20search_path%3Danother",
        beside.app.database_url()
    );
    let examine = || {
        let mut doctor = beside.command(&["doctor", "--json"]);
        Report::of(&outcome(doctor.env("DATABASE_URL", &url)))
    };
    for (statement, state, found) in [
        (
            "create schema another",
            "warn",
            "the database lacks migration 1",
        ),
        (
            "create table another.users (id text)",
            "fail",
            "another program's: it has a table \"users\", and none of gatelodge's migrations",
        ),
        (
            "create table another._sqlx_migrations as select * from public._sqlx_migrations \
             limit 0",
            "fail",
            "it has a table \"users\"",
        ),
        (
            "insert into another._sqlx_migrations select 1, 'theirs', now(), true, 'x', 1; \
             drop table another.users",
            "fail",
            "it has migrations, and none of them is gatelodge's",
        ),
    ] {
        sqlx::raw_sql(statement)
            .execute(&mut database)
            .await
            .unwrap();
        examine().is("ledger: schema", state, found);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_wrong_in_redis_is_found_without_its_password() {
    let redis = OwnRedis::start();
    let beside = Beside::a_service(Scaled).await;
    let prefix = beside.app.environment()["GATELODGE_REDIS__KEY_PREFIX"].clone();
    let examine_at = |url: String| {
        let mut command = beside.command(&["doctor", "--json"]);
        Report::of(&outcome(command.env("REDIS_URL", url)))
    };
    let examine = || examine_at(redis.url());
    let set = async |name: &str, value: &str| {
        redis.command(&["CONFIG", "SET", name, value]).await;
    };
    examine().is("redis: persistence", "ok", "appendonly is off");
    set("maxmemory", "64mb").await;
    examine().is("redis: memory", "warn", "noeviction at 64 MiB");
    set("maxmemory-policy", "allkeys-lru").await;
    examine().is("redis: memory", "ok", "allkeys-lru at 64 MiB");
    set("appendonly", "yes").await;
    examine().is("redis: persistence", "ok", "appendfsync is everysec");
    set("appendfsync", "always").await;
    examine().is(
        "redis: persistence",
        "warn",
        "each write waits for the disk",
    );

    let security = Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md");
    let security = fs::read_to_string(security).unwrap();
    let named = security
        .lines()
        .find_map(|line| line.trim().strip_prefix("user gatelodge on "));
    let named = named
        .unwrap()
        .replace("PASSWORD", "hunter2")
        .replace("gatelodge:", &format!("{prefix}:"));
    let user = async |rules: &str| {
        let begin = ["ACL", "SETUSER", "gatelodge", "reset", "on"];
        let rules: Vec<_> = rules.split_whitespace().collect();
        redis.command(&[&begin, &rules[..]].concat()).await;
    };
    let as_user = || redis.url().replace("://", "://gatelodge:hunter2@");
    user(&named).await;
    let managed = examine_at(as_user());
    managed.is("redis", "ok", "it reads and writes");
    managed.is("redis: pushes", "ok", "what is published is heard");
    managed.is("redis: settings", "unknown", "no permissions");
    user(&named.replace("+subscribe", "")).await;
    let deaf = examine_at(as_user());
    deaf.is("redis: pushes", "fail", "no permissions");
    assert!(
        deaf.text.contains("that SECURITY.md names"),
        "{}",
        deaf.text
    );
    user(&named.replace("+set", "")).await;
    examine_at(as_user()).is("redis", "fail", "no permissions");

    redis.require_password("correct").await;
    let wrong = examine_at(redis.url_with("hunter3"));
    wrong.is("redis", "fail", "");
    assert!(
        wrong.text.contains("mend the user and the password"),
        "{}",
        wrong.text
    );
    assert!(!wrong.text.contains("hunter3"), "{}", wrong.text);
    let none = examine();
    assert!(
        none.text.contains("mend the user and the password"),
        "{}",
        none.text
    );
    redis.kill().await;
    let gone = examine();
    gone.is("redis", "fail", "onnection refused");
    gone.is("ledger: writes", "ok", "it takes them");
    assert!(
        gone.text
            .contains("until then sessions are checked against the ledger")
    );
}

#[tokio::test]
async fn who_answers_nowhere_is_told_of_without_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command
        .env("DATABASE_URL", "postgres://gatelodge:hunter2@127.0.0.1:1/x")
        .env("GATELODGE_SECRETS__KEYS", generate_key())
        .args(["doctor", "--json"]);
    let report = Report::of(&outcome(&mut command));
    report.is("ledger", "fail", "onnection refused");
    let said = report.text.matches("onnection refused").count();
    assert_eq!(said, 1, "{}", report.text);
    report.is("redis", "ok", "none: what an instance does not remember");
    assert!(!report.text.contains("hunter2"), "{}", report.text);
}
