//! Commands beside a running service, on both ledgers.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Program, command, outcome, outcome_of_input, run};
use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::{ADMIN, PASSWORD};
use crate::support::{Browser, TestApp, within};

/// A service, and a way to run commands beside it.
pub(super) struct Beside {
    pub(super) app: TestApp,
    pub(super) folder: TempDir,
}

impl Beside {
    pub(super) async fn a_service(stack: Stack) -> Self {
        Self {
            app: TestApp::spawn(stack).await,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(self.folder.path());
        command.envs(self.app.environment()).args(arguments);
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        outcome(&mut self.command(arguments))
    }

    /// What a command that must succeed prints.
    #[track_caller]
    pub(super) fn says(&self, arguments: &[&str]) -> String {
        said(self.run(arguments))
    }
}

#[track_caller]
pub(super) fn said(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

#[track_caller]
pub(super) fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(super) async fn is_refused_in_time(browser: &mut Browser) {
    within(
        Duration::from_secs(1),
        "the session is refused",
        async || browser.whoami().await.status == 401,
    )
    .await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn users_are_created_with_a_password_of_standard_input(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let beside = Beside::a_service(stack).await;
    let create = [
        "users",
        "create",
        "--email",
        "ada@example.com",
        "--name",
        "Ada",
    ];
    let input = format!("{PASSWORD}\nmore\n");
    let created = said(outcome_of_input(&mut beside.command(&create), &input));
    assert!(created.starts_with("ada@example.com (") && created.ends_with("is created"));
    let mut ada = beside.app.logged_in("ada@example.com").await;
    assert_eq!(ada.whoami().await.json()["user"]["role"], "user");

    let again = outcome_of_input(&mut beside.command(&create), &input);
    assert!(failed(&again).contains("the e-mail address is taken"));
    for (input, mistake) in [
        ("", "no password: standard input takes one line"),
        ("short\n", "the password must be at least 15 characters"),
        ("\n", "the password must not be empty"),
        (
            "qwertyuiopasdfghjkl\n",
            "the password is among the most common",
        ),
        (
            "bob@example.com\n",
            "the password must not be your name or e-mail",
        ),
    ] {
        let create = [
            "users",
            "create",
            "--email",
            "bob@example.com",
            "--name",
            "Bob",
        ];
        let refused = failed(&outcome_of_input(&mut beside.command(&create), input));
        assert!(refused.contains(mistake), "{refused}");
    }
    let unknown = beside.run(&["users", "lock", "bob@example.com"]);
    assert!(failed(&unknown).contains("there is no user \"bob@example.com\""));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn users_are_created_with_a_hash_of_another_system(#[values(Embedded, Scaled)] stack: Stack) {
    let beside = Beside::a_service(stack).await;
    let create = |email| {
        let arguments = [
            "users",
            "create",
            "--password-hash",
            "--name",
            "Ada",
            "--email",
        ];
        let mut command = beside.command(&arguments);
        command.arg(email);
        command
    };
    // Of the usual password, made by Django 5.2.19.
    let hash =
        "pbkdf2_sha256$1000$lFO5I8v6G55dTJFAkSLx7C$SUE6PxvvYmenHI1W902wDsZaG/5re4h8AgjWaQcMJYE=";
    let created = said(outcome_of_input(
        &mut create("ada@example.com"),
        &format!("{hash}\r\n"),
    ));
    assert!(created.ends_with("is created"), "{created}");
    beside.app.logged_in("ada@example.com").await;

    for (input, mistake) in [
        ("", "no hash: standard input takes one line"),
        (
            "5f4dcc3b5aa765d61d8327deb882cf99\n",
            "is of no scheme known here, which are: bcrypt ($2a$",
        ),
        (PASSWORD, "is of no scheme known here"),
        ("$2b$12$short\n", "that its scheme does not allow"),
        (
            "pbkdf2_sha256$900000000$saltsalt$SUE6PxvvYmenHI1W902wDsZaG/5re4h8AgjWaQcMJYE=",
            "takes more work than a log-in may",
        ),
    ] {
        let refused = failed(&outcome_of_input(&mut create("bob@example.com"), input));
        assert!(refused.contains(mistake), "{refused}");
        assert!(!refused.contains(PASSWORD), "{refused}");
    }
    let both = create("bob@example.com").arg("--invite").output().unwrap();
    assert_eq!(both.status.code(), Some(2));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_user_can_be_invited(#[values(Embedded, Scaled)] stack: Stack) {
    let beside = Beside::a_service(stack).await;
    let said = beside.says(&[
        "users",
        "create",
        "--email",
        "ada@example.com",
        "--name",
        "Ada",
        "--role",
        "admin",
        "--invite",
    ]);
    let (_, token) = said
        .lines()
        .nth(1)
        .unwrap()
        .split_once("/password?token=")
        .unwrap();
    let redeem = json!({ "token": token, "new_password": PASSWORD });
    let mut ada = beside.app.browser();
    assert_eq!(ada.post("/api/password/redeem", &redeem).await.status, 204);
    let mut ada = beside.app.logged_in("ada@example.com").await;
    assert_eq!(ada.get("/api/admin/users").await.status, 200);

    let link = beside.says(&["users", "password-link", "ada@example.com"]);
    assert!(
        link.starts_with("http://localhost:8080/password?token="),
        "{link}"
    );
    assert!(link.contains("works once, until 2"), "{link}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_commands_change_holds_on_the_running_service(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let beside = Beside::a_service(stack).await;
    let mut root = beside.app.admin().await;
    let mut ada = beside.app.registered("ada@example.com").await;
    let id = ada.user_id().await;
    assert_eq!(ada.whoami().await.status, 200);

    beside.says(&["users", "set-role", "ada@example.com", "admin"]);
    within(Duration::from_secs(1), "the role holds", async || {
        ada.get("/api/admin/users").await.status == 200
    })
    .await;
    let last = beside.run(&["users", "set-role", ADMIN, "user"]);
    assert_eq!(last.status.code(), Some(0), "there is another");
    let last = beside.run(&["users", "lock", &id]);
    assert!(failed(&last).contains("this is the last admin"));
    beside.says(&["users", "set-role", ADMIN, "admin"]);

    beside.says(&["users", "lock", &id]);
    is_refused_in_time(&mut ada).await;
    let locked = beside
        .app
        .browser()
        .log_in("ada@example.com", PASSWORD)
        .await;
    locked.assert_problem(401, "invalid_credentials");
    beside.says(&["users", "unlock", "Ada@Example.com"]);
    let mut ada = beside.app.logged_in("ada@example.com").await;
    beside.says(&["users", "delete", "ada@example.com"]);
    is_refused_in_time(&mut ada).await;
    let events = root
        .get("/api/admin/events?actor=operator&limit=3")
        .await
        .json();
    let actions: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["action"].clone())
        .collect();
    assert_eq!(actions, ["user_deleted", "user_unlocked", "user_locked"]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended(#[values(Embedded, Scaled)] stack: Stack) {
    let beside = Beside::a_service(stack).await;
    let mut ada = beside.app.registered("ada@example.com").await;
    let mut elsewhere = beside.app.logged_in("ada@example.com").await;
    let mut bob = beside.app.registered("bob@example.com").await;
    let ids = |output: String| -> Vec<String> {
        let listed: Value = serde_json::from_str(&output).unwrap();
        let sessions = listed["sessions"].as_array().unwrap().clone();
        sessions
            .iter()
            .map(|session| session["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let of_ada = beside.says(&["sessions", "list", "--user", "ada@example.com", "--json"]);
    let expected = [elsewhere.session_id().await, ada.session_id().await];
    assert_eq!(ids(of_ada), expected);
    let local = beside.says(&["sessions", "list", "--ip", "127.0.0.0/8", "--json"]);
    assert_eq!(ids(local).len(), 3);
    let table = beside.says(&["sessions", "list", "--user-agent", "nothing"]);
    assert_eq!(table, "ID  USER  LAST SEEN  IP  DEVICE");

    let one = ["sessions", "revoke", "--id", &expected[0]];
    assert_eq!(
        beside.says(&[&one[..], &["--dry-run"]].concat()),
        "would have ended 1 session"
    );
    assert_eq!(elsewhere.whoami().await.status, 200);
    assert_eq!(beside.says(&one), "ended 1 session");
    is_refused_in_time(&mut elsewhere).await;
    assert!(failed(&beside.run(&one)).contains("there is no session"));

    let of_user = ["sessions", "revoke", "--user", "ada@example.com"];
    let would = beside.says(&[&of_user[..], &["--dry-run"]].concat());
    assert_eq!(would, "would have ended 1 session of ada@example.com");
    beside.says(&of_user);
    is_refused_in_time(&mut ada).await;
    assert_eq!(bob.whoami().await.status, 200);

    beside.says(&["sessions", "revoke", "--everyone", "--dry-run"]);
    assert_eq!(bob.whoami().await.status, 200);
    beside.says(&["sessions", "revoke", "--everyone", "--reason", "drill"]);
    is_refused_in_time(&mut bob).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_a_filter_are_ended(#[values(Embedded, Scaled)] stack: Stack) {
    let beside = Beside::a_service(stack).await;
    let mut ada = beside.app.registered("ada@example.com").await;
    let mut bob = beside.app.registered("bob@example.com").await;
    let revoke = |filter: &[&str]| {
        let arguments = [&["sessions", "revoke"], filter].concat();
        beside.says(&arguments)
    };
    let later = "9999-12-31T00:00:00Z";
    let of_ada = ["--ip", "127.0.0.0/8", "--user", "ada@example.com"];
    let would = revoke(&[&of_ada[..], &["--dry-run"]].concat());
    assert_eq!(would, "would have ended 1 session");
    assert_eq!(revoke(&["--ip", "192.0.2.0/24"]), "ended 0 sessions");
    assert_eq!(revoke(&["--issued-after", later]), "ended 0 sessions");
    assert_eq!(ada.whoami().await.status, 200);
    assert_eq!(revoke(&of_ada), "ended 1 session");
    is_refused_in_time(&mut ada).await;
    assert_eq!(bob.whoami().await.status, 200);
    let all = revoke(&["--issued-before", later, "--reason", "drill", "--yes"]);
    assert_eq!(all, "ended 1 session");
    is_refused_in_time(&mut bob).await;
    let mut root = beside.app.admin().await;
    let path = "/api/admin/events?action=matching_sessions_revoked";
    let events = root.get(path).await.json();
    assert_eq!(events["events"][0]["reason"], "drill");

    let mut eve = beside.app.registered("eve@example.com").await;
    let of_eve = ["--user", "eve@example.com", "--reason", "stolen"];
    assert_eq!(revoke(&of_eve), "ended 1 session of eve@example.com");
    is_refused_in_time(&mut eve).await;
    let path = "/api/admin/events?action=all_sessions_revoked";
    let events = root.get(path).await.json();
    assert_eq!(events["events"][0]["reason"], "stolen");

    let mut ada = beside.app.logged_in("ada@example.com").await;
    let id = ada.session_id().await;
    for misuse in [
        &["--id", &id, "--ip", "127.0.0.1"][..],
        &["--id", &id, "--reason", "because"],
        &["--everyone", "--ip", "127.0.0.1"],
        &["--ip", "nonsense"],
        &["--yes"],
    ] {
        let output = beside.run(&[&["sessions", "revoke"], misuse].concat());
        assert_eq!(output.status.code(), Some(2), "{misuse:?}");
    }
    for (command, right) in [
        (
            &["sessions", "revoke", "--id", "123"][..],
            "must be a session's id (UUID)",
        ),
        (
            &["events", "export", "--after", "123"],
            "must be an event's id (UUID)",
        ),
    ] {
        let misused = beside.run(command);
        assert_eq!(misused.status.code(), Some(2));
        let told = String::from_utf8(misused.stderr).unwrap();
        assert!(told.contains(right), "{told}");
    }
    let never = [
        "--issued-before",
        "2026-01-01T00:00:00Z",
        "--issued-after",
        later,
    ];
    let never = beside.run(&[&["sessions", "revoke"], &never[..]].concat());
    assert!(failed(&never).contains("no session can be of both times"));
    assert_eq!(ada.whoami().await.status, 200);
}

/// What an export has printed: each line an event.
#[track_caller]
fn events(output: &str) -> Vec<Value> {
    let event = |line| serde_json::from_str(line).unwrap();
    output.lines().map(event).collect()
}

const FOREVER: [&str; 4] = ["events", "export", "--until", "9999-12-31T00:00:00Z"];

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_exported_as_the_api_shows_it(#[values(Embedded, Scaled)] stack: Stack) {
    let beside = Beside::a_service(stack).await;
    let mut root = beside.app.admin().await;
    let ada = beside
        .app
        .registered("ada@example.com")
        .await
        .user_id()
        .await;
    root.get("/api/admin/users").await;
    beside.says(&["users", "lock", "ada@example.com"]);
    let listed = root.get("/api/admin/events").await.json();
    let mut expected = listed["events"].as_array().unwrap().clone();
    expected.reverse();
    let all = events(&beside.says(&FOREVER));
    assert_eq!(all, expected);
    assert_eq!(all.len(), 4);

    let with = |more: &[&str]| events(&beside.says(&[&FOREVER[..], more].concat()));
    let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
    assert_eq!(with(&["--after", &id(&all[1])]), all[2..]);
    assert_eq!(with(&["--after", &id(&all[3])]), [] as [Value; 0]);
    assert_eq!(with(&["--action", "logged_in"]), all[1..2]);
    assert_eq!(with(&["--subject", "ada@example.com"]), all[2..]);
    assert_eq!(
        with(&["--actor", "operator"]),
        [all[0].clone(), all[3].clone()]
    );
    assert_eq!(with(&["--since", all[2]["at"].as_str().unwrap()]), all[2..]);
    let before = [
        "events",
        "export",
        "--until",
        all[2]["at"].as_str().unwrap(),
    ];
    assert_eq!(events(&beside.says(&before)), all[..2]);

    beside.says(&["users", "delete", &ada]);
    assert_eq!(
        with(&["--subject", &ada]).len(),
        3,
        "also of who is deleted"
    );
    let unknown = beside.run(&["events", "export", "--subject", "ada@example.com"]);
    assert!(failed(&unknown).contains("there is no user"));
    for misuse in [
        ["--action", "nonsense"],
        ["--since", "yesterday"],
        ["--after", "1"],
    ] {
        let output = beside.run(&[&FOREVER[..2], &misuse].concat());
        assert_eq!(output.status.code(), Some(2), "{misuse:?}");
    }
}

/// An event may become visible after one with a later id.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_still_be_joined_by_earlier_events_is_left_to_the_next_export() {
    let beside = Beside::a_service(Embedded).await;
    assert_eq!(beside.says(&["events", "export"]), "");
    within(Duration::from_secs(30), "it is exported", async || {
        events(&beside.says(&["events", "export"])).len() == 1
    })
    .await;
    let events = events(&beside.says(&["events", "export"]));
    assert_eq!(events[0]["action"], "set_up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_export_comes_whole_and_ends_when_nobody_reads_it() {
    let beside = Beside::a_service(Embedded).await;
    let mut ada = beside.app.registered("ada@example.com").await;
    for n in 0..1100 {
        let name = json!({ "name": format!("Ada {n}") });
        assert_eq!(ada.update_account(&name).await.status, 200);
    }
    let renamed = [&FOREVER[..], &["--action", "name_changed"]].concat();
    let file = beside.folder.path().join("events.jsonl");
    let output = std::fs::File::create(&file).unwrap();
    let exported = beside.command(&renamed).stdout(output).status();
    assert!(exported.unwrap().success());
    let all = events(&std::fs::read_to_string(&file).unwrap());
    assert_eq!(all.len(), 1100);
    assert!(all.is_sorted_by_key(|event| event["id"].as_str().unwrap().to_owned()));
    let mut unread = beside.command(&renamed);
    let mut unread = unread.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(unread.stdout.take());
    assert!(unread.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn misuse_ends_nobodys_session() {
    let beside = Beside::a_service(Embedded).await;
    let mut ada = beside.app.registered("ada@example.com").await;
    let id = ada.session_id().await;
    for arguments in [
        &["sessions", "revoke"][..],
        &["sessions", "revoke", "--dry-run"],
        &["sessions", "revoke", "--id", &id, "--everyone"],
        &[
            "sessions",
            "revoke",
            "--user",
            "ada@example.com",
            "--everyone",
        ],
        &["sessions", "revoke", "--id", "*"],
        &["sessions", "revoke", "everyone"],
        &["sessions", "revoke", "--reason", "because"],
        &["users", "set-role", "ada@example.com", "king"],
        &["users", "create", "--email", "x", "--name", "X"],
        &[
            "users",
            "create",
            "--email",
            "x@example.com",
            "--name",
            "X",
            "--password",
            PASSWORD,
        ],
    ] {
        assert_eq!(
            beside.run(arguments).status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
    for whom in ["", "*", "ada", "bob@example.com"] {
        failed(&beside.run(&["sessions", "revoke", "--user", whom]));
    }
    assert_eq!(ada.whoami().await.status, 200);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn users_are_listed(#[values(Embedded, Scaled)] stack: Stack) {
    let beside = Beside::a_service(stack).await;
    let mut ada = beside.app.registered("ada@example.com").await;
    let listed: Value = serde_json::from_str(&beside.says(&["users", "list", "--json"])).unwrap();
    let mut user = ada.whoami().await.json()["user"].clone();
    assert_eq!(listed["users"][0], user.take());
    assert_eq!(listed["users"].as_array().unwrap().len(), 2);
    let table = beside.says(&["users", "list", "--search", "ADA@"]);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].starts_with("ID ") && lines[1].contains("ada@example.com"),
        "{table}"
    );
}

#[tokio::test]
async fn the_first_start_prints_a_link_and_setup_link_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path());
    assert!(program.line().starts_with("ledger: SQLite"));
    assert!(program.line().starts_with("there is no admin yet"));
    let first = program.line();
    assert!(
        first.starts_with("http://localhost:8080/setup?token="),
        "{first}"
    );
    let second = said(run(folder.path(), &["setup-link"]));
    assert_ne!(first, second);
    let token = |link: &str| link.split_once("token=").unwrap().1.to_owned();
    let mut browser = program.browser();
    let page = browser
        .get(&format!("/setup?token={}", token(&first)))
        .await;
    assert_eq!(page.status, 404, "an earlier link is dead");
    let fields = [
        ("token", &*token(&second)),
        ("email", "root@example.com"),
        ("name", "Root"),
        ("password", PASSWORD),
    ];
    assert_eq!(browser.submit("/setup", &fields).await.status, 200);
    let over = failed(&run(folder.path(), &["setup-link"]));
    assert!(over.contains("there is an admin already"), "{over}");
}

#[tokio::test]
async fn a_health_check_needs_nothing_but_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let check = |bind: String| {
        let mut command = command(folder.path());
        outcome(
            command
                .env("GATELODGE_SERVER__BIND", bind)
                .arg("healthcheck"),
        )
    };
    let port = program.address.port();
    assert_eq!(said(check(program.address.to_string())), "ready");
    assert_eq!(said(check(format!("0.0.0.0:{port}"))), "ready");
    drop(program);
    assert!(failed(&check(format!("127.0.0.1:{port}"))).contains("nothing answers at"));
}

#[test]
fn a_key_is_written_once_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let generate = ["keys", "generate", "--out", path.to_str().unwrap()];
    said(run(folder.path(), &generate));
    let key = std::fs::read_to_string(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(said(run(folder.path(), &generate)).ends_with("is there already"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), key);
    let nowhere = ["keys", "generate", "--out", "nowhere/key"];
    assert!(failed(&run(folder.path(), &nowhere)).contains("cannot write nowhere/key"));
}

#[test]
fn a_cost_is_named_for_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let named = said(run(
        folder.path(),
        &["hash", "calibrate", "--time", "500ms"],
    ));
    let lines: Vec<_> = named.lines().collect();
    assert!(lines[0].starts_with("cost 10: "), "{named}");
    assert!(
        lines
            .last()
            .unwrap()
            .starts_with("set password.bcrypt_cost = "),
        "{named}"
    );
    let impossible = failed(&run(folder.path(), &["hash", "calibrate", "--time", "1ms"]));
    assert!(impossible.contains("choose a longer time"), "{impossible}");
    let misused = run(folder.path(), &["hash", "calibrate", "--time", "soon"]);
    assert_eq!(misused.status.code(), Some(2));
}

/// Every command is explained.
#[test]
fn help_teaches() {
    let help = |arguments: &[&str]| said(run(Path::new("."), arguments));
    let all = help(&["--help"]);
    for command in [
        "serve",
        "migrate",
        "config",
        "setup-link",
        "healthcheck",
        "users",
        "sessions",
        "backup",
        "restore",
        "doctor",
        "events",
        "hash",
        "keys",
    ] {
        assert!(all.contains(&format!("\n  {command}")), "{command}: {all}");
    }
    for command in [&["--help"][..], &["users", "create", "--help"]] {
        let text = help(command);
        let (own, global) = text.split_once("\nGlobal options:\n").unwrap();
        for option in ["--config", "--quiet"] {
            assert!(global.contains(option) && !own.contains(&format!(" {option}")));
        }
    }
    assert!(help(&["users", "create", "--help"]).contains("standard input"));
    assert!(help(&["sessions", "revoke", "--help"]).contains("--everyone"));
}

#[test]
fn a_command_in_the_wrong_folder_makes_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let lost = failed(&run(folder.path(), &["users", "list"]));
    assert!(
        lost.contains("there is no database data/gatelodge.db"),
        "{lost}"
    );
    assert!(lost.contains("run `gatelodge migrate` first"), "{lost}");
    assert!(!folder.path().join("data").exists());
    said(run(folder.path(), &["migrate"]));
    assert!(said(run(folder.path(), &["users", "list"])).starts_with("ID"));
}

/// Whoever comes first sets the database up; the others wait.
#[test]
fn many_can_start_at_once_in_an_empty_folder() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<_> = (0..6)
            .map(|_| {
                let mut command = command(folder.path());
                std::thread::spawn(move || outcome(command.arg("migrate")))
            })
            .collect();
        for one in all {
            said(one.join().unwrap());
        }
    }
}

/// Output that is lost is no success.
#[cfg(target_os = "linux")]
#[test]
fn a_key_that_could_not_be_printed_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = command(folder.path())
        .args(["keys", "generate"])
        .stdout(full)
        .stderr(std::process::Stdio::null())
        .status();
    assert_eq!(status.unwrap().code(), Some(1));
}
