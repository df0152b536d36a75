//! From every schema that there has been, with the sessions that lived there.

use std::path::Path;

use gatelodge::store::ledger::Ledger;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use crate::support::app::{PASSWORD, TestDatabase};
use crate::support::program::{Program, command};

/// 64 bytes, from 0 to 63: what the cookies of the fixtures were signed with.
const KEY: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";

/// Cookies as version 0.1 has set them.
const LIVES: &str = "AQG8bQkQQGjEtI_d5Q4uctjj4k6n1LLvHMea4IQJ09k8s0SuXUxHmgBCZVHZlwNPVBHO";
const HAS_ENDED: [&str; 2] = [
    "AQG8ZQ49PURKFkvUqN5xo-NgfLhxEu9ZdfG4bZQBWXG3zbWsAnpOO61iM33GtZVjSwXC",
    "AQG8oiLTiNWY7iyum3i682LMGKMWd5MGrf3Up6qMZwJx4GqaQuCYBiV3I9XRP5OKJuNy",
];

#[tokio::test]
async fn sessions_survive_an_upgrade_from_every_schema_on_postgresql() {
    for last in versions("postgres").await {
        let database = TestDatabase::create().await;
        let mut ledger = PgConnection::connect(&database.url).await.unwrap();
        for version in 1..=last {
            migrate("postgres", version, &mut ledger).await;
            let lived = AssertSqlSafe(lived("postgres", version));
            sqlx::raw_sql(lived).execute(&mut ledger).await.unwrap();
        }
        ledger.close().await.unwrap();
        goes_on_from(last, &database.url).await;
    }
}

#[tokio::test]
async fn sessions_survive_an_upgrade_from_every_schema_on_sqlite() {
    for last in versions("sqlite").await {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/gatelodge.db", folder.path().display());
        // Makes the file as it is to be.
        Ledger::connect(&url, 1).await.unwrap().close().await;
        let mut ledger = SqliteConnection::connect(&url).await.unwrap();
        for version in 1..=last {
            migrate("sqlite", version, &mut ledger).await;
            let lived = AssertSqlSafe(lived("sqlite", version));
            sqlx::raw_sql(lived).execute(&mut ledger).await.unwrap();
        }
        ledger.close().await.unwrap();
        goes_on_from(last, &url).await;
    }
}

pub async fn migrator(database: &str) -> Migrator {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    Migrator::new(folder.join(database)).await.unwrap()
}

/// The schema of each is one that there has been.
async fn versions(database: &str) -> Vec<i64> {
    let migrator = migrator(database).await;
    let versions: Vec<_> = migrator.iter().map(|migration| migration.version).collect();
    assert!(versions.iter().copied().eq((1..).take(versions.len())));
    versions
}

pub async fn migrate<T: Migrate>(database: &str, version: i64, ledger: &mut T) {
    let migrator = migrator(database).await;
    let migrated = migrator.run_direct(Some(version), ledger, false);
    migrated.await.unwrap();
}

/// What the version that came with a schema has written there, and none before it: a
/// comment, if that is nothing.
fn lived(database: &str, version: i64) -> String {
    let name = format!("tests/deploys/fixtures/{database}/{version:04}.sql");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
    std::fs::read_to_string(path).expect(&name)
}

async fn goes_on_from(schema: i64, url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command
        .env("DATABASE_URL", url)
        .env("GATELODGE_SECRETS__KEYS", KEY);
    let program = Program::run(command);
    let with = |token: &str| {
        let mut browser = program.browser();
        browser.token = Some(token.to_owned());
        browser
    };

    let mut ada = with(LIVES);
    let whoami = ada.whoami().await;
    assert_eq!(whoami.status, 200, "from schema {schema}: {}", whoami.text);
    assert_eq!(whoami.json()["user"]["email"], "ada@example.com");
    let before = ada.session_id().await;
    for token in HAS_ENDED {
        with(token).whoami().await.assert_refused();
    }
    for email in ["ada@example.com", "bob@example.com"] {
        let mut again = program.browser();
        assert_eq!(again.log_in(email, PASSWORD).await.status, 200, "{schema}");
        if email == "ada@example.com" {
            let sessions = again.list_sessions().await.json();
            assert_eq!(sessions["sessions"].as_array().unwrap().len(), 2);
            assert_eq!(again.revoke_session(&before).await.status, 204);
        }
    }
    ada.whoami().await.assert_refused();
}
