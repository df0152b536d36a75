//! Backups of an embedded instance, whether or not it runs, and putting one back.

use std::path::{Path, PathBuf};

use super::{create_private_directory, keys, open_ledger, require_database};
use crate::config::Settings;
use crate::domain::audit::{Act, Actor, Source};
use crate::sessions::Clock;
use crate::store::ledger::Ledger;

pub use crate::store::ledger::{Copied, Existing};

/// Writes all of the ledger to a file, and nothing of the keys.
///
/// # Errors
/// If it cannot be written, if it is there and to be kept, or if what is there is no
/// earlier backup.
pub async fn back_up(
    settings: &Settings,
    to: &Path,
    existing: Existing,
    told: impl FnMut(Copied),
) -> anyhow::Result<()> {
    require_database(settings)?;
    let ledger = open_ledger(&settings.database).await?;
    let secrets = files_of_secrets(settings);
    let written = ledger.back_up(to, existing, &secrets, told).await;
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

fn files_of_secrets(settings: &Settings) -> Vec<PathBuf> {
    let folder = settings.database.data_directory();
    let made_here = folder.map(|folder| keys::file_in(&folder));
    let configured = settings.private_files.iter().cloned();
    made_here.into_iter().chain(configured).collect()
}
