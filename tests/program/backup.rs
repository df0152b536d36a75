//! Backups of the embedded default, and what is alive after a restore.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tempfile::TempDir;

use super::commands::{Beside, failed, said};
use super::{Program, emails, run};
use crate::support::Browser;
use crate::support::Stack::Scaled;
use crate::support::app::PASSWORD;

/// An embedded instance in a folder of its own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn start(&self) -> Program {
        Program::start(self.0.path())
    }

    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        said(run(self.0.path(), arguments))
    }

    #[track_caller]
    fn refuses(&self, arguments: &[&str]) -> String {
        failed(&run(self.0.path(), arguments))
    }

    fn emails(&self) -> Vec<String> {
        emails(&self.says(&["users", "list", "--json"]))
    }

    async fn database(&self) -> SqliteConnection {
        open(&self.path("data/gatelodge.db")).await
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("data")).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

async fn open(database: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(database);
    options.create_if_missing(true).connect().await.unwrap()
}

async fn registered(browser: &mut Browser, email: &str) {
    assert_eq!(browser.register(email, PASSWORD).await.status, 201);
}

#[tokio::test]
async fn nobody_who_had_been_logged_out_is_back_after_a_restore() {
    let place = Place::new();
    let program = place.start();
    let (mut gone, mut there) = (program.browser(), program.browser());
    registered(&mut gone, "ada@example.com").await;
    registered(&mut there, "bob@example.com").await;
    let link = place.says(&["users", "password-link", "bob@example.com"]);
    let said = place.says(&["backup", "backup.db"]);
    assert!(said.starts_with("wrote backup.db"), "{said}");
    let mode = place
        .path("backup.db")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let (_, token) = link.lines().next().unwrap().split_once("token=").unwrap();
    let redeem = json!({ "token": token, "new_password": format!("{PASSWORD}, another") });

    let stolen = gone.at(program.address);
    assert_eq!(gone.log_out().await.status, 204);
    let mut late = program.browser();
    registered(&mut late, "carol@example.com").await;
    let refused = place.refuses(&["restore", "backup.db"]);
    assert!(
        refused.contains("another gatelodge serves from"),
        "{refused}"
    );
    assert_eq!(there.whoami().await.status, 200);
    program.end();

    let told = place.says(&["restore", "backup.db"]);
    assert!(
        told.starts_with("restored. Everyone is logged out"),
        "{told}"
    );
    let (_, aside) = told.split_once("the database that was there is ").unwrap();
    let (aside, _) = aside.split_once(": remove").unwrap();
    let kept: i64 = sqlx::query_scalar("select count(*) from users")
        .fetch_one(&mut open(&place.path(aside)).await)
        .await
        .unwrap();
    assert_eq!(kept, 3);
    assert_eq!(place.emails(), ["bob@example.com", "ada@example.com"]);

    let program = place.start();
    for mut browser in [&stolen, &there, &late].map(|browser| browser.at(program.address)) {
        assert_eq!(browser.whoami().await.status, 401);
    }
    let reset = program
        .browser()
        .post("/api/password/redeem", &redeem)
        .await;
    assert_eq!(
        reset.wrong_fields(),
        ["token"],
        "it may have been used since"
    );
    let mut ada = program.browser();
    assert_eq!(ada.log_in("ada@example.com", PASSWORD).await.status, 200);
    assert_eq!(ada.whoami().await.status, 200);
    assert_eq!(
        ada.list_sessions().await.json()["sessions"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let events = place.says(&["events", "export", "--until", "9999-12-31T00:00:00Z"]);
    let restored = events
        .lines()
        .find(|line| line.contains("everyone_revoked"));
    let restored: Value = serde_json::from_str(restored.unwrap()).unwrap();
    assert_eq!(restored["detail"], "restored from a backup");
}

#[tokio::test]
async fn what_is_no_backup_changes_nothing() {
    let place = Place::new();
    let program = place.start();
    registered(&mut program.browser(), "ada@example.com").await;
    place.says(&["backup", "backup.db"]);
    program.end();
    place.says(&["users", "list"]);
    let (before, database) = (place.files(), place.path("data/gatelodge.db"));
    let backup = fs::read(place.path("backup.db")).unwrap();
    let half = &backup[..backup.len() / 2];
    let mut torn = backup.clone();
    torn[4096 * 3..4096 * 5].fill(0xa5);
    for (name, content, reason) in [
        ("half.db", half, "damaged"),
        ("torn.db", &torn, "damaged"),
        ("text.db", b"hello", "it is no SQLite database, or damaged"),
        ("empty.db", b"", "it is no database of gatelodge"),
    ] {
        fs::write(place.path(name), content).unwrap();
        let refused = place.refuses(&["restore", name]);
        assert!(
            refused.contains(&format!("{name} is not used: ")),
            "{refused}"
        );
        assert!(refused.contains(reason), "{refused}");
    }
    let nowhere = place.refuses(&["restore", "nowhere.db"]);
    assert!(nowhere.contains("cannot copy nowhere.db"), "{nowhere}");

    let mut foreign = open(&place.path("foreign.db")).await;
    let table = "create table notes (text)";
    sqlx::query(table).execute(&mut foreign).await.unwrap();
    let refused = place.refuses(&["restore", "foreign.db"]);
    assert!(
        refused.contains("it is no database of gatelodge"),
        "{refused}"
    );
    fs::copy(place.path("backup.db"), place.path("later.db")).unwrap();
    let mut later = open(&place.path("later.db")).await;
    let version = "update _sqlx_migrations set version = 9999 where version = 5";
    sqlx::query(version).execute(&mut later).await.unwrap();
    later.close().await.unwrap();
    let refused = place.refuses(&["restore", "later.db"]);
    assert!(refused.contains("was made by a later version"), "{refused}");
    fs::copy(place.path("backup.db"), place.path("live.db")).unwrap();
    fs::write(place.path("live.db-wal"), b"more").unwrap();
    let refused = place.refuses(&["restore", "live.db"]);
    assert!(
        refused.contains("`gatelodge backup` makes a whole one"),
        "{refused}"
    );

    assert_eq!(place.files(), before);
    assert!(database.is_file());
    assert_eq!(place.emails(), ["ada@example.com"]);
}

#[tokio::test]
async fn a_restore_waits_for_no_command_and_takes_nothing_from_under_one() {
    let place = Place::new();
    place.says(&["migrate"]);
    place.says(&["backup", "backup.db"]);
    let mut command = place.database().await;
    let begin = "begin immediate";
    sqlx::query(begin).execute(&mut command).await.unwrap();
    let refused = place.refuses(&["restore", "backup.db"]);
    assert!(refused.contains("a command is at work on"), "{refused}");
    sqlx::query("rollback").execute(&mut command).await.unwrap();
    command.close().await.unwrap();
    // What an earlier one has left that was cut short.
    fs::write(place.path("data/gatelodge.db.restoring"), b"half").unwrap();
    fs::write(place.path("data/gatelodge.db.restoring-wal"), b"half").unwrap();
    let program = place.start();
    registered(&mut program.browser(), "ada@example.com").await;
    program.end();
    place.says(&["restore", "backup.db"]);
    assert_eq!(place.emails(), [] as [String; 0]);
    assert!(place.files().iter().all(|name| !name.contains("restoring")));
}

#[tokio::test]
async fn a_database_that_is_damaged_is_replaced_and_kept() {
    let place = Place::new();
    let program = place.start();
    registered(&mut program.browser(), "ada@example.com").await;
    place.says(&["backup", "backup.db"]);
    program.end();
    for file in ["gatelodge.db", "gatelodge.db-wal"] {
        fs::write(place.path("data").join(file), b"no database any more").unwrap();
    }
    let cause = "file is not a database";
    let refused = place.refuses(&["users", "list"]);
    assert_eq!(refused.matches(cause).count(), 1, "{refused}");
    place.says(&["restore", "backup.db"]);
    assert_eq!(place.emails(), ["ada@example.com"]);
    let kept = place.files().into_iter().find(|name| {
        name.starts_with("gatelodge.db.before-")
            && !name.ends_with("-wal")
            && !name.ends_with("-shm")
    });
    let kept = place.path("data").join(kept.unwrap());
    assert!(fs::read(kept).unwrap() == b"no database any more");
}

#[tokio::test]
async fn a_backup_of_an_earlier_version_is_brought_up_to_date_wherever_it_is_restored() {
    let place = Place::new();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let migrator = Migrator::new(migrations).await.unwrap();
    let mut old = open(&place.path("old.db")).await;
    migrator.run_to(3, &mut old).await.unwrap();
    let user = "insert into users (id, email, name, role, status, created_at) \
                values (randomblob(16), 'ada@example.com', 'Ada', 'user', 'active', 0)";
    sqlx::query(user).execute(&mut old).await.unwrap();
    old.close().await.unwrap();
    let told = place.says(&["restore", "old.db"]);
    assert!(!told.contains("the database that was there"), "{told}");
    assert_eq!(place.emails(), ["ada@example.com"]);
    let mode = place
        .path("data/gatelodge.db")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_backup_takes_the_place_of_nothing_unless_it_is_told_to() {
    let place = Place::new();
    let nothing = place.refuses(&["backup", "backup.db"]);
    assert!(
        nothing.contains("there is no database data/gatelodge.db"),
        "{nothing}"
    );
    place.says(&["migrate"]);
    fs::write(place.path("backup.db"), b"another").unwrap();
    let refused = place.refuses(&["backup", "backup.db"]);
    assert!(refused.contains("backup.db is there already"), "{refused}");
    assert_eq!(fs::read(place.path("backup.db")).unwrap(), b"another");
    let refused = place.refuses(&["backup", "--force", "backup.db"]);
    assert!(
        refused.contains("backup.db is not replaced: --force replaces an earlier backup alone"),
        "{refused}"
    );
    assert_eq!(fs::read(place.path("backup.db")).unwrap(), b"another");
    fs::remove_file(place.path("backup.db")).unwrap();
    place.says(&["backup", "backup.db"]);
    place.says(&[
        "users",
        "create",
        "--invite",
        "--email",
        "ada@example.com",
        "--name",
        "Ada",
    ]);
    place.says(&["backup", "--force", "backup.db"]);
    place.says(&["restore", "backup.db"]);
    assert_eq!(place.emails(), ["ada@example.com"]);
    let nowhere = place.refuses(&["backup", "nowhere/backup.db"]);
    assert!(
        nowhere.contains("cannot write nowhere/backup.db: No such file"),
        "{nowhere}"
    );
    let left = fs::read_dir(place.0.path()).unwrap();
    assert_eq!(left.count(), 2, "the data and the backup");
}

#[tokio::test]
async fn not_even_by_force_does_a_backup_replace_anything_but_an_earlier_one() {
    let place = Place::new();
    let program = place.start();
    let mut ada = program.browser();
    registered(&mut ada, "ada@example.com").await;
    let other = Place::new();
    other.says(&["migrate"]);
    let other = other.path("data/gatelodge.db");
    let foreign = place.path("foreign.db");
    let mut notes = open(&foreign).await;
    let tables = "create table notes (text); \
                  create table _sqlx_migrations (version); \
                  insert into _sqlx_migrations values (1)";
    sqlx::raw_sql(tables).execute(&mut notes).await.unwrap();
    notes.close().await.unwrap();
    fs::create_dir(place.path("folder")).unwrap();
    let nobody_listens = UnixListener::bind(place.path("socket")).unwrap();
    let database = place.path("data/gatelodge.db");
    symlink(&database, place.path("link.db")).unwrap();
    symlink(place.path("data"), place.path("data2")).unwrap();
    fs::hard_link(&database, place.path("same.db")).unwrap();
    symlink(&foreign, place.path("to-foreign.db")).unwrap();
    let itself = "is the database itself, or a part of it: name a file";
    let kept = |place: &Place| {
        [&database, &place.path("data/gatelodge.key"), &foreign].map(|file| {
            let inode = file.metadata().unwrap().ino();
            (inode, (file != &database).then(|| fs::read(file).unwrap()))
        })
    };
    let before = kept(&place);
    for (to, reason) in [
        ("data/gatelodge.db", itself),
        ("data2/gatelodge.db", itself),
        ("link.db", itself),
        ("same.db", itself),
        ("data/gatelodge.db-wal", itself),
        ("data/gatelodge.db-journal", itself),
        ("data/gatelodge.db.restoring", "is what a restore prepares"),
        ("data/gatelodge.lock", "is a lock of the database"),
        ("data2/gatelodge.key", "is a file of keys and secrets"),
        ("folder", "it is a folder"),
        ("socket", "it is a device or a pipe"),
        ("to-foreign.db", "it is a link"),
        ("foreign.db", "it is no database of gatelodge"),
        (other.to_str().unwrap(), "it is a database to serve from"),
    ] {
        let refused = place.refuses(&["backup", "--force", to]);
        assert!(refused.contains(&format!("{to} is")), "{refused}");
        assert!(refused.contains(reason), "{to}: {refused}");
        let unforced = place.refuses(&["backup", to]);
        assert!(!unforced.contains("cannot write"), "{unforced}");
    }
    drop(nobody_listens);
    assert_eq!(kept(&place), before);
    assert_eq!(ada.log_out().await.status, 204);
    program.end();
    assert_eq!(place.emails(), ["ada@example.com"]);
}

#[tokio::test]
async fn a_restore_does_not_remove_the_backup_that_it_is_given() {
    let place = Place::new();
    place.says(&["migrate"]);
    place.says(&["backup", "backup.db"]);
    let backup = place.path("data/gatelodge.db.restoring");
    fs::rename(place.path("backup.db"), &backup).unwrap();
    symlink(&backup, place.path("link.db")).unwrap();
    for name in ["data/gatelodge.db.restoring", "link.db"] {
        let refused = place.refuses(&["restore", name]);
        let reason = format!("{name} has the name of what a restore prepares and removes");
        assert!(refused.contains(&reason), "{refused}");
    }
    fs::rename(&backup, place.path("data/gatelodge.restoring")).unwrap();
    place.says(&["restore", "data/gatelodge.restoring"]);
    assert!(place.path("data/gatelodge.restoring").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_postgresql_the_tools_are_named() {
    let beside = Beside::a_service(Scaled).await;
    let backup = failed(&beside.run(&["backup", "backup.db"]));
    assert!(backup.contains("pg_dump or pg_basebackup"), "{backup}");
    for told in [backup, failed(&beside.run(&["restore", "backup.db"]))] {
        assert!(
            told.contains("gatelodge sessions revoke --everyone"),
            "{told}"
        );
    }
}
