//! The schema this version needs.

use sqlx::migrate::{AppliedMigration, Migrator};

/// Passes over migrations of a later version: during a rolling deploy the
/// schema may already be ahead.
pub(super) fn tolerant(mut migrator: Migrator) -> Migrator {
    migrator.set_ignore_missing(true);
    migrator
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
