//! Users of another system, many at once.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::commands::{Beside, failed, said};
use super::{emails, outcome_of_input};
use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::ADMIN;
use crate::support::servers::signal;
use crate::support::within;

/// Of the tests' usual password, made by Django 5.2.19.
const HASH: &str =
    "pbkdf2_sha256$1000$lFO5I8v6G55dTJFAkSLx7C$SUE6PxvvYmenHI1W902wDsZaG/5re4h8AgjWaQcMJYE=";

/// What nobody here can verify.
const UNKNOWN_HASH: &str = "5f4dcc3b5aa765d61d8327deb882cf99";

impl Beside {
    /// Imports a file of that name and content.
    fn import(&self, name: &str, content: &str, more: &[&str]) -> Output {
        fs::write(self.folder.path().join(name), content).unwrap();
        self.run(&[&["users", "import", name], more].concat())
    }

    fn emails(&self) -> Vec<String> {
        emails(&self.says(&["users", "list", "--json"]))
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn tally(output: &Output) -> String {
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    said.trim_end().to_owned()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn users_are_imported_with_their_passwords_and_who_is_there_is_left_alone(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let beside = Beside::a_service(stack).await;
    let csv = format!(
        "name,email,password_hash,status,role,created_at\n\
         Ada,Ada@Example.com,{HASH},,admin,2019-05-06T07:08:09+02:00\n\
         \"Bob, the \"\"Second\"\"\",bob@example.com,{HASH},locked,user,\n\
         Carol,carol@example.com,,,,\n\
         Not root,{ADMIN},,,,\n"
    );
    let imported = beside.import("users.csv", &csv, &[]);
    let all_new = "created 3, there already 1, refused 0";
    assert_eq!(said(imported), all_new);
    let mut ada = beside.app.logged_in("ada@example.com").await;
    let listed = ada.get("/api/admin/users").await.json();
    let of = |email: &str| {
        let users = listed["users"].as_array().unwrap();
        let found = users.iter().find(|user| user["email"] == email);
        found.unwrap().clone()
    };
    assert_eq!(of("ada@example.com")["created_at"], "2019-05-06T05:08:09Z");
    assert_eq!(
        listed["users"].as_array().unwrap()[3],
        of("ada@example.com"),
        "the oldest"
    );
    assert_eq!(of("bob@example.com")["name"], "Bob, the \"Second\"");
    assert_eq!(of("bob@example.com")["status"], "locked");
    assert_eq!(of("carol@example.com")["role"], "user");
    assert_eq!(of(ADMIN)["name"], "Administrator");
    beside.app.admin().await;
    assert!(
        beside
            .says(&["users", "password-link", "carol@example.com"])
            .contains("/password?")
    );

    let path = "/api/admin/events?action=user_created&actor=operator";
    let events = ada.get(path).await.json();
    let details: Vec<_> = events["events"].as_array().unwrap().iter().collect();
    let details: Vec<_> = details
        .iter()
        .map(|event| event["detail"].clone())
        .collect();
    assert_eq!(
        details,
        ["user, imported", "user, imported", "admin, imported"]
    );

    let again = beside.import("users.csv", &csv, &[]);
    assert_eq!(said(again), "created 0, there already 4, refused 0");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_without_its_hash_and_can_be_mended(
    #[values("csv", "jsonl")] format: &str,
) {
    let beside = Beside::a_service(Embedded).await;
    let (csv, lines) = (
        format!(
            "email,name,role,password_hash,created_at\n\
             ada@example.com,Ada,,{HASH},\n\
             bob,Bob,,{HASH},\n\
             carol@example.com,Carol,king,,\n\
             dave@example.com,Dave,,{UNKNOWN_HASH},\n\
             eve@example.com,,,,\n\
             fred@example.com,Fred,,,yesterday\n"
        ),
        [
            json!({ "email": "ada@example.com", "name": "Ada", "password_hash": HASH }),
            json!({ "email": "bob", "name": "Bob", "password_hash": HASH }),
            json!({ "email": "carol@example.com", "name": "Carol", "role": "king" }),
            json!({ "email": "dave@example.com", "name": "Dave", "password_hash": UNKNOWN_HASH }),
            json!({ "email": "eve@example.com", "name": null }),
            json!({ "email": "fred@example.com", "name": "Fred", "created_at": "yesterday" }),
        ]
        .map(|line| line.to_string())
        .join("\n"),
    );
    // A line more than in JSON: of the columns.
    let (content, before) = if format == "csv" {
        (csv, 1)
    } else {
        (lines, 0)
    };
    let report = format!("refused.{format}");
    let refused = beside.import(&format!("users.{format}"), &content, &["--report", &report]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(tally(&refused), "created 1, there already 0, refused 5");
    let told = stderr(&refused);
    for (line, reason) in [
        (2, "email must be an e-mail address"),
        (3, "role must be user or admin"),
        (4, "password_hash is of no scheme known here"),
        (5, "name is missing"),
        (6, "created_at must be a time of RFC 3339"),
    ] {
        let line = line + before;
        assert!(told.contains(&format!("line {line}: {reason}")), "{told}");
    }
    assert!(
        !told.contains(HASH) && !told.contains(UNKNOWN_HASH),
        "{told}"
    );
    assert!(told.contains("mend them, and import them again"), "{told}");

    let path = beside.folder.path().join(&report);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mended = fs::read_to_string(&path).unwrap();
    assert_eq!(mended.matches(HASH).count(), 1, "{mended}");
    let kept = beside.import(&format!("users.{format}"), &content, &["--report", &report]);
    assert!(failed(&kept).contains("cannot make refused."));
    assert_eq!(fs::read_to_string(&path).unwrap(), mended);

    let mended = mended
        .replace("bob", "bob@example.com")
        .replace("king", "admin")
        .replace(UNKNOWN_HASH, "")
        .replace("yesterday", "2020-01-01T00:00:00Z");
    let again = beside.import(&report, &mended, &[]);
    assert_eq!(tally(&again), "created 4, there already 0, refused 1");
    beside.app.logged_in("bob@example.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_list_of_users_creates_nobody() {
    let beside = Beside::a_service(Embedded).await;
    let start = "email,name\n";
    let endless = format!("{start}ada@example.com,\"Ada\n{}", "x".repeat(1 << 20));
    let headless = format!("{HASH},ada@example.com,Ada\n");
    for (name, content, mistake) in [
        (
            "a.csv",
            "email,name,phone\n",
            "there is no column \"phone\"",
        ),
        ("b.csv", "email,role\n", "has no name"),
        ("c.csv", "", "has no email"),
        (
            "h.csv",
            headless.as_str(),
            "the first line does not name columns",
        ),
        (
            "i.csv",
            "email,name,email\nada@example.com,Ada,bob@example.com\n",
            "email is given twice",
        ),
        ("d.csv", endless.as_str(), "a row is longer than 256 KiB"),
        ("e.txt", start, "say --format csv or --format jsonl"),
    ] {
        let refused = failed(&beside.import(name, content, &[]));
        assert!(refused.contains(mistake), "{name}: {refused}");
        assert!(!refused.contains("pbkdf2"), "{refused}");
    }
    let cut = format!("{}x,\"{}", rows(500), "x".repeat(1 << 20));
    let cut = failed(&beside.import("cut.csv", &cut, &["--dry-run"]));
    assert!(cut.contains("the import has ended after line 501"), "{cut}");
    let lost = beside.run(&["users", "import", "nowhere.csv"]);
    assert!(failed(&lost).contains("cannot read nowhere.csv"));
    for (line, mistake) in [
        ("ada@example.com", "this is no JSON object"),
        ("[\"secret\"]", "this is no JSON object"),
        (
            "{\"email\": \"ada@example.com\", \"phone\": \"1\"}",
            "there is no column \"phone\"",
        ),
        ("{\"secret@example.com\": \"\"}", "a key is no column"),
        ("{\"email\": 1, \"name\": \"Ada\"}", "email must be a text"),
        (
            "{\"email\": \"ada@example.com\", \"name\": \"Ada\", \"email\": null}",
            "email is given twice",
        ),
    ] {
        let refused = beside.import("f.jsonl", line, &[]);
        assert_eq!(tally(&refused), "created 0, there already 0, refused 1");
        assert!(
            stderr(&refused).contains(&format!("line 1: {mistake}")),
            "{line}"
        );
        assert!(!stderr(&refused).contains("secret"));
    }
    let mixed = b"email,name\nada@example.com,\xff\nbob@example.com,Bob,3\n\n".to_vec();
    fs::write(beside.folder.path().join("g.csv"), mixed).unwrap();
    let refused = beside.run(&["users", "import", "g.csv"]);
    assert!(stderr(&refused).contains("line 2: this is not UTF-8"));
    assert!(stderr(&refused).contains("line 3: there are 3 values under 2 columns"));
    assert_eq!(beside.emails(), [ADMIN]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn who_is_of_the_future_is_refused_and_a_byte_order_mark_costs_no_row(
    #[values("csv", "jsonl")] format: &str,
) {
    let beside = Beside::a_service(Embedded).await;
    let users = [
        ("ada@example.com", "2019-05-06T07:08:09Z"),
        ("bob@example.com", "9999-12-31T23:59:59Z"),
    ];
    let (content, line) = if format == "csv" {
        let rows = users.map(|(email, at)| format!("{email},Name,{at}\n"));
        (format!("email,name,created_at\n{}", rows.concat()), 3)
    } else {
        let user =
            |(email, at)| json!({ "email": email, "name": "Name", "created_at": at }).to_string();
        (users.map(user).join("\n"), 2)
    };
    let name = format!("users.{format}");
    let refused = beside.import(&name, &format!("\u{feff}{content}"), &[]);
    assert_eq!(tally(&refused), "created 1, there already 0, refused 1");
    let reason = format!("line {line}: created_at is in the future");
    assert!(stderr(&refused).contains(&reason), "{}", stderr(&refused));
    assert_eq!(beside.emails(), [ADMIN, "ada@example.com"]);
}

/// Or the second of the two would be lost unseen.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_in_a_file_twice_is_refused_the_second_time_in_a_dry_run_too(
    #[values("csv", "jsonl")] format: &str,
) {
    let beside = Beside::a_service(Embedded).await;
    // As many as are imported at once, so that the other is among the next.
    let mut users: Vec<_> = (0..500)
        .map(|n| (format!("user{n}@example.com"), "User"))
        .collect();
    users.push(("User0@Example.com".to_owned(), "Another"));
    let (content, before) = if format == "csv" {
        let rows = users
            .iter()
            .map(|(email, name)| format!("{email},{name}\n"));
        (format!("email,name\n{}", rows.collect::<String>()), 1)
    } else {
        let lines = users
            .iter()
            .map(|(email, name)| json!({ "email": email, "name": name }).to_string());
        (lines.collect::<Vec<_>>().join("\n"), 0)
    };
    let twice = format!(
        "line {}: the e-mail address is already in line {}",
        501 + before,
        1 + before
    );
    let name = format!("users.{format}");
    let would = beside.import(&name, &content, &["--dry-run"]);
    let report = format!("refused.{format}");
    let did = beside.import(&name, &content, &["--report", &report]);
    assert_eq!(
        tally(&would),
        "would have created 500, there already 0, would have refused 1"
    );
    assert_eq!(tally(&did), "created 500, there already 0, refused 1");
    for output in [would, did] {
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(&twice), "{}", stderr(&output));
    }
    let report = fs::read_to_string(beside.folder.path().join(report)).unwrap();
    assert!(report.contains("Another"), "{report}");
}

fn rows(count: usize) -> String {
    let row = |n| format!("user{n}@example.com,User {n}\n");
    std::iter::once("email,name\n".to_owned())
        .chain((0..count).map(row))
        .collect()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_creates_nobody(#[values(Embedded, Scaled)] stack: Stack) {
    let beside = Beside::a_service(stack).await;
    said(beside.import("some.csv", &rows(2), &[]));
    let all = format!("{}bad,Bad\n", rows(3));
    let would = beside.import("all.csv", &all, &["--dry-run"]);
    let told = "would have created 1, there already 2, would have refused 1";
    assert_eq!(tally(&would), told);
    assert_eq!(beside.emails().len(), 3);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_interrupted_goes_on_when_it_is_run_again(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let beside = Beside::a_service(stack).await;
    let mut root = beside.app.admin().await;
    let mut import = beside.command(&["users", "import", "-", "--format", "csv"]);
    let mut import = import
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = import.stdin.take().unwrap();
    input.write_all(rows(700).as_bytes()).unwrap();
    let created = "/api/admin/users?search=user499@";
    within(Duration::from_secs(20), "some are created", async || {
        root.get(created).await.json()["users"] != json!([])
    })
    .await;
    // It waits for more.
    signal(&import.id().to_string(), "INT");
    let ended = import.wait_with_output().unwrap();
    drop(input);
    assert_eq!(tally(&ended), "created 500, there already 0, refused 0");
    let told = failed(&ended);
    assert!(
        told.contains("the import has ended after line 501: run it again"),
        "{told}"
    );
    assert!(told.contains("interrupted"), "{told}");

    let again = beside.import("users.csv", &rows(700), &[]);
    assert_eq!(said(again), "created 200, there already 500, refused 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_refusals_the_first_are_told() {
    let beside = Beside::a_service(Embedded).await;
    let bad = (0..600).map(|n| format!("bad{n},Bad\n"));
    let content: String = std::iter::once("email,name\n".to_owned())
        .chain(bad)
        .collect();
    let mut import = beside.command(&["users", "import", "-", "--format", "csv"]);
    let refused = outcome_of_input(&mut import, &content);
    assert_eq!(tally(&refused), "created 0, there already 0, refused 600");
    let told = stderr(&refused);
    assert_eq!(
        told.lines()
            .filter(|line| line.starts_with("line "))
            .count(),
        20
    );
    assert!(
        told.contains("and more: --report FILE takes down all of them"),
        "{told}"
    );
}
