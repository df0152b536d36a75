//! The schema this version needs.

use std::time::{Duration, Instant};

use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migrator};

/// A migration just made.
#[derive(Clone, Debug)]
pub struct Applied {
    pub version: i64,
    pub description: String,
    pub took: Duration,
}

/// Passes over migrations of a later version: during a rolling deploy the
/// schema may already be ahead.
pub(super) fn tolerant(mut migrator: Migrator) -> Migrator {
    migrator.set_ignore_missing(true);
    migrator
}

/// Makes what migrations are missing, each a transaction of its own; tells of each.
pub(super) async fn migrate(
    migrator: &Migrator,
    connection: &mut impl Migrate,
    mut told: impl FnMut(&Applied),
) -> Result<(), MigrateError> {
    // None yet: sees to the table of what was applied.
    migrator.run_direct(Some(0), connection, false).await?;
    let table = &migrator.table_name;
    let known = connection.list_applied_migrations(table).await?;
    let is_known = |version| known.iter().any(|known| known.version == version);
    for missing in migrator.iter().filter(|one| !is_known(one.version)) {
        let begun = Instant::now();
        migrator
            .run_direct(Some(missing.version), connection, false)
            .await?;
        told(&Applied {
            version: missing.version,
            description: missing.description.to_string(),
            took: begun.elapsed(),
        });
    }
    migrator.run_direct(None, connection, false).await
}

pub(super) fn require_migrations(
    migrator: &Migrator,
    applied: &[AppliedMigration],
) -> anyhow::Result<()> {
    for migration in migrator.iter() {
        anyhow::ensure!(
            applied
                .iter()
                .any(|known| known.version == migration.version),
            "the database lacks migration {} ({}); run `gatelodge migrate`, or set database.migrate = true",
            migration.version,
            migration.description
        );
    }
    Ok(())
}
