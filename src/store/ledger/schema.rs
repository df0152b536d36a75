//! The schema this version needs, and how it is brought there beside instances that go on.

use std::time::Duration;

use anyhow::ensure;
use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migration, Migrator};
use tokio::time::{Instant, sleep};

/// How long a migration is tried again that waits for somebody else: another instance's
/// migration, or a transaction that reads what is to be changed.
const PATIENCE: Duration = Duration::from_mins(5);

/// In between, those who were kept waiting get their turn.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A migration just made.
#[derive(Clone, Debug)]
pub struct Applied {
    pub version: i64,
    pub description: String,
    pub took: Duration,
}

impl Applied {
    pub(super) fn now(migration: &Migration, begun: Instant) -> Self {
        Self {
            version: migration.version,
            description: migration.description.to_string(),
            took: begun.elapsed(),
        }
    }
}

/// Passes over migrations of a later version: during a rolling deploy the
/// schema may already be ahead.
pub(super) fn tolerant(mut migrator: Migrator) -> Migrator {
    migrator.set_ignore_missing(true);
    migrator
}

/// What has been applied; nothing where nobody has migrated yet.
pub(super) fn applied(
    listed: Result<Vec<AppliedMigration>, MigrateError>,
) -> Result<Vec<AppliedMigration>, MigrateError> {
    /// As PostgreSQL and SQLite say that there is no such table.
    const NO_TABLE: [&str; 2] = ["42P01", "1"];
    match listed {
        Err(error) if has_code(&error, &NO_TABLE) => Ok(Vec::new()),
        listed => listed,
    }
}

/// The migrations that a database lacks, which has had these.
pub(super) fn lacking<'a>(
    migrator: &'a Migrator,
    applied: &[AppliedMigration],
) -> anyhow::Result<Vec<&'a Migration>> {
    let mut lacking = Vec::new();
    for migration in migrator.iter() {
        let known = applied
            .iter()
            .find(|known| known.version == migration.version);
        match known {
            None => lacking.push(migration),
            Some(known) => ensure!(
                known.checksum == migration.checksum,
                "migration {} ({}) is not the one that the database has had",
                migration.version,
                migration.description
            ),
        }
    }
    Ok(lacking)
}

/// What shows that a database is another program's, if anything does: its migrations, or
/// a table of a name that one of ours would make.
pub(super) fn sign_of_another(
    migrator: &Migrator,
    applied: &[AppliedMigration],
    tables: &[String],
) -> Option<String> {
    let is_ours = |known: &AppliedMigration| {
        let mut ours = migrator.iter();
        ours.any(|ours| (ours.version, &ours.checksum) == (known.version, &known.checksum))
    };
    if applied.iter().any(is_ours) {
        return None;
    }
    if !applied.is_empty() {
        return Some("migrations, and none of them is gatelodge's".to_owned());
    }
    let made = |migration: &Migration, table: &str| {
        let mut lines = migration.sql.as_str().lines();
        lines.any(|line| line == format!("create table {table} ("))
    };
    let is_taken = |table: &&String| migrator.iter().any(|ours| made(ours, table));
    let table = tables.iter().find(is_taken)?;
    Some(format!(
        "a table {table:?}, and none of gatelodge's migrations"
    ))
}

/// Makes one migration, a transaction of its own, unless somebody else just has.
pub(super) async fn apply(
    migrator: &Migrator,
    migration: &Migration,
    connection: &mut impl Migrate,
) -> Result<(), MigrateError> {
    migrator
        .run_direct(Some(migration.version), connection, false)
        .await
}

pub(super) fn require_migrations(
    migrator: &Migrator,
    applied: &[AppliedMigration],
) -> anyhow::Result<()> {
    if let Some(migration) = lacking(migrator, applied)?.first() {
        anyhow::bail!(
            "the database lacks migration {} ({}); run `gatelodge migrate`, or set database.migrate = true",
            migration.version,
            migration.description
        );
    }
    Ok(())
}

/// Tries until nobody is in the way.
pub(super) async fn patiently<T>(
    migrate: impl AsyncFn() -> Result<T, MigrateError>,
) -> Result<T, MigrateError> {
    /// `lock_not_available` and `deadlock_detected`.
    const IN_THE_WAY: [&str; 2] = ["55P03", "40P01"];
    let begun = Instant::now();
    loop {
        match migrate().await {
            Err(error) if has_code(&error, &IN_THE_WAY) && begun.elapsed() < PATIENCE => {
                tracing::info!(
                    "the schema waits for another instance's migration, or for a long transaction"
                );
                sleep(AGAIN_AFTER).await;
            }
            done => return done,
        }
    }
}

fn has_code(error: &MigrateError, codes: &[&str]) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    let Some(error) = error.as_database_error() else {
        return false;
    };
    error.code().is_some_and(|code| codes.contains(&&*code))
}
