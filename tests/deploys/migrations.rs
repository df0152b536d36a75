//! Migrations beside instances that go on: one applies them, nobody waits behind them, and
//! what is there stays there.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use gatelodge::startup::generate_key;
use rstest::rstest;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::app::{PASSWORD, TestDatabase};
use crate::support::eventually;
use crate::support::program::{Program, command};
use crate::support::servers::free_port;
use crate::upgrades::{migrate, migrator};

/// The schema that the first release came with. Until then, nobody had an old one.
const FIRST_RELEASED: i64 = 5;

/// A database, and commands that work on it.
struct Site {
    database: TestDatabase,
    key: String,
    folder: TempDir,
}

impl Site {
    async fn empty() -> Self {
        Self {
            database: TestDatabase::create().await,
            key: generate_key(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn at_schema(version: i64) -> Self {
        let site = Self::empty().await;
        let mut ledger = site.connect().await;
        migrate("postgres", version, &mut ledger).await;
        ledger.close().await.unwrap();
        site
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.database.url).await.unwrap()
    }

    fn command(&self) -> Command {
        let mut command = command(self.folder.path());
        command
            .env("DATABASE_URL", &self.database.url)
            .env("GATELODGE_SECRETS__KEYS", &self.key)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn begin_to_migrate(&self) -> Child {
        self.command().arg("migrate").spawn().unwrap()
    }
}

fn succeeds(output: &Output) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
}

async fn applied(ledger: &mut PgConnection) -> i64 {
    let count = sqlx::query_scalar("select count(*) from _sqlx_migrations where success");
    count.fetch_one(ledger).await.unwrap()
}

/// Somebody waits for a lock of this database.
async fn is_waited_for(ledger: &mut PgConnection) {
    eventually("somebody waits", async || {
        let waiting = sqlx::query_scalar(
            "select exists (select from pg_locks l join pg_database d on d.oid = l.database \
             where not l.granted and d.datname = current_database())",
        );
        waiting.fetch_one(&mut *ledger).await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn of_instances_that_start_at_once_on_nothing_one_migrates() {
    let site = Site::empty().await;
    let starting: Vec<_> = (0..4)
        .map(|_| site.command())
        .map(|command| std::thread::spawn(move || Program::run(command)))
        .collect();
    for program in starting {
        let program = program.join().unwrap();
        let ready = program.browser().get("/health/ready").await;
        assert_eq!(ready.status, 200);
    }
    let migrations = migrator("postgres").await.iter().count();
    let applied = applied(&mut site.connect().await).await;
    assert_eq!(usize::try_from(applied), Ok(migrations));
}

#[test]
fn of_processes_that_migrate_one_file_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let migrating: Vec<_> = (0..4)
        .map(|_| command(folder.path()))
        .map(|mut command| {
            let command = command.arg("migrate").stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in migrating {
        succeeds(&child.wait_with_output().unwrap());
    }
}

/// Whatever asks for a lock that a migration waits for waits behind it.
#[tokio::test]
async fn a_migration_that_waits_for_a_long_reader_keeps_nobody_else_waiting() {
    let site = Site::at_schema(4).await;
    let (mut reader, mut other) = (site.connect().await, site.connect().await);
    reader.execute("begin; table events").await.unwrap();
    let migrating = site.begin_to_migrate();
    is_waited_for(&mut other).await;
    for _ in 0..3 {
        let asked = Instant::now();
        let read = other.execute("select count(*) from events");
        let read = timeout(Duration::from_secs(5), read).await;
        read.expect("others go on").unwrap();
        assert!(asked.elapsed() < Duration::from_secs(1));
    }
    assert_eq!(applied(&mut other).await, 4);
    reader.execute("commit").await.unwrap();
    succeeds(&migrating.wait_with_output().unwrap());
    assert!(applied(&mut other).await > 4);
}

/// The port is bound, and a load balancer that tried it would wait.
#[tokio::test]
async fn who_waits_for_the_schema_takes_no_connections_yet() {
    let site = Site::at_schema(4).await;
    let (mut holder, mut other) = (site.connect().await, site.connect().await);
    let lock = "begin; lock table events in access exclusive mode";
    holder.execute(lock).await.unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = site.command();
    command.env("GATELODGE_SERVER__BIND", &address);
    let starting = std::thread::spawn(move || Program::run(command));
    is_waited_for(&mut other).await;
    let refused = TcpStream::connect(&address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    holder.execute("commit").await.unwrap();
    let program = starting.join().unwrap();
    let ready = program.browser().get("/health/ready").await;
    assert_eq!(ready.status, 200);
}

#[rstest]
#[tokio::test]
async fn a_schema_ahead_of_the_program_is_taken_as_it_is(#[values("true", "false")] migrate: &str) {
    let site = Site::empty().await;
    succeeds(&site.begin_to_migrate().wait_with_output().unwrap());
    site.connect()
        .await
        .execute(
            "alter table users add column nickname text; \
             insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
             values (9999, 'nicknames', true, '', 0)",
        )
        .await
        .unwrap();
    let mut command = site.command();
    command.env("GATELODGE_DATABASE__MIGRATE", migrate);
    let program = Program::run(command);
    let registered = program
        .browser()
        .register("ada@example.com", PASSWORD)
        .await;
    assert_eq!(registered.status, 201, "{}", registered.text);
}

#[rstest]
#[case::old(4, "the database lacks migration 5 (audit)")]
#[case::none(0, "the database lacks migration 1 (users sessions revocations)")]
#[tokio::test]
async fn an_old_schema_is_refused_by_name_if_it_may_not_be_changed(
    #[case] schema: i64,
    #[case] complaint: &str,
) {
    let site = match schema {
        0 => Site::empty().await,
        schema => Site::at_schema(schema).await,
    };
    let mut command = site.command();
    command.env("GATELODGE_DATABASE__MIGRATE", "false");
    let refused = command.output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains(complaint), "{error}");
    assert!(error.contains("run `gatelodge migrate`"), "{error}");
}

/// The version before it goes on beside it: what it reads and writes must still be there,
/// and what it does not write must have a default.
#[test]
fn a_migration_only_adds_unless_it_says_since_when_nobody_needs_what_it_takes_away() {
    for (version, path, text) in migrations() {
        if version > FIRST_RELEASED && !text.contains("\n-- contract: since ") {
            let complaints = takes_away(&text);
            assert!(complaints.is_empty(), "{}: {complaints:?}", path.display());
        }
    }
    for taking in [
        "drop table users",
        "alter table users drop column name",
        "alter table users rename column name to names",
        "alter table users\n    alter column name type varchar(10)",
        "alter table users alter column password_hash set not null",
        "alter table users add column nickname text not null",
        "alter table users add constraint named check (name <> '')",
        "create unique index users_by_name on users (name)",
        "truncate attempts",
    ] {
        assert_eq!(takes_away(taking).len(), 1, "{taking}");
    }
    for adding in [
        "create table t (id uuid primary key, name text not null); create index i on t (name);",
        "alter table users add column nickname text;",
        "alter table users add column is_new boolean not null default false;",
        "-- drop nothing\ncreate table t (id uuid)",
    ] {
        assert_eq!(takes_away(adding), Vec::<String>::new());
    }
}

/// PostgreSQL lets nobody write to a table while it builds an index of it, unless told so.
#[test]
fn no_migration_keeps_writers_waiting_for_an_index() {
    for (version, path, text) in migrations() {
        if version > FIRST_RELEASED && path.parent().unwrap().ends_with("postgres") {
            let complaints = blocks(&text);
            assert!(complaints.is_empty(), "{}: {complaints:?}", path.display());
        }
    }
    for blocking in [
        "create index i on users (name)",
        "create table t (id uuid); create index i\n    on only users(name)",
        "create unique index i on users (name)",
        "create index concurrently i on users (name)",
        "-- comment\n-- no-transaction\ncreate index concurrently i on users (name)",
    ] {
        assert_eq!(blocks(blocking).len(), 1, "{blocking}");
    }
    for passing in [
        "-- no-transaction\ncreate index concurrently i on users (name);",
        "create table t (id uuid); create index i on t(name);",
        "create table if not exists t(id uuid); create unique index i on only t (name);",
        "-- create index i on users (name)\ncreate table t (id uuid)",
    ] {
        assert_eq!(blocks(passing), Vec::<String>::new());
    }
}

#[test]
fn both_databases_have_the_same_migrations() {
    let named = |database: &str| {
        let paths = migrations().into_iter().map(|(_, path, _)| path);
        let of = paths.filter(|path| path.parent().unwrap().ends_with(database));
        of.map(|path| path.file_name().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(named("postgres"), named("sqlite"));
    assert!(!named("sqlite").is_empty());
}

fn migrations() -> Vec<(i64, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = ["postgres", "sqlite"]
        .into_iter()
        .flat_map(|database| std::fs::read_dir(root.join(database)).unwrap());
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let version = name.split('_').next().unwrap().parse().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        (version, path, text)
    };
    paths.into_iter().map(read).collect()
}

fn statements(migration: &str) -> Vec<String> {
    let lines = migration.lines().map(str::trim);
    let code: Vec<_> = lines.filter(|line| !line.starts_with("--")).collect();
    let code = code.join(" ").to_lowercase();
    code.split(';').map(|text| text.trim().to_owned()).collect()
}

/// The statements that build an index of a table that others may write to, without letting
/// them. `concurrently` takes a file that sqlx runs in no transaction.
fn blocks(migration: &str) -> Vec<String> {
    let statements = statements(migration);
    let first_of = |text: &str| text.split([' ', '(']).next().map(str::to_owned);
    let created: Vec<_> = statements
        .iter()
        .filter_map(|statement| statement.strip_prefix("create table "))
        .filter_map(|rest| first_of(rest.trim_start_matches("if not exists ")))
        .collect();
    let is_alone = migration.starts_with("-- no-transaction");
    let blocks = |statement: &String| {
        let indexes = ["create index ", "create unique index "];
        let table = statement.split_once(" on ");
        let table = table.and_then(|(_, rest)| first_of(rest.trim_start_matches("only ")));
        indexes.iter().any(|start| statement.starts_with(start))
            && !(is_alone && statement.contains(" index concurrently "))
            && !table.is_some_and(|table| created.contains(&table))
    };
    statements.into_iter().filter(blocks).collect()
}

/// The statements that instances of the version before may stumble over.
fn takes_away(migration: &str) -> Vec<String> {
    let takes = |statement: &String| {
        let has = |words: &str| format!(" {statement} ").contains(&format!(" {words} "));
        let alters = statement.starts_with("alter table");
        has("drop")
            || has("rename")
            || has("truncate")
            || statement.starts_with("create unique")
            || alters && has("type")
            || alters && has("set not null")
            || alters && has("add constraint")
            || alters && has("not null") && !has("default")
    };
    statements(migration).into_iter().filter(takes).collect()
}
