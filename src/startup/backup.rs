//! Backups of an embedded instance, whether or not it runs, and putting one back.

use std::path::{Path, PathBuf};

use super::{create_private_directory, open_ledger, require_database};
use crate::config::Settings;
use crate::domain::audit::{Act, Actor, Source};
use crate::sessions::Clock;
use crate::store::ledger::Ledger;

pub use crate::store::ledger::{Copied, Existing};

/// Writes all of the ledger to a file, and nothing of the keys.
///
/// # Errors
/// If it cannot be written, or is there and to be kept.
pub async fn back_up(
    settings: &Settings,
    to: &Path,
    existing: Existing,
    told: impl FnMut(Copied),
) -> anyhow::Result<()> {
    require_database(settings)?;
    let ledger = open_ledger(&settings.database).await?;
    let written = ledger.back_up(to, existing, told).await;
    ledger.close().await;
    written
}

/// Puts a backup in the ledger's place, and ends everyone's sessions; says where the
/// database is that was there.
///
/// # Errors
/// If the service runs, or the file is no backup that this version can use. Nothing has
/// changed then.
pub async fn restore(
    settings: &Settings,
    from: &Path,
    told: impl FnMut(Copied),
) -> anyhow::Result<Option<PathBuf>> {
    if let Some(directory) = settings.database.data_directory() {
        create_private_directory(&directory)?;
    }
    let act = Act {
        at: Clock::new().now(),
        actor: Actor::Operator,
        source: Source::default(),
    };
    Ledger::restore(&settings.database.url, from, act, told).await
}
