//! `gatelodge backup` and `gatelodge restore`, of the embedded default.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;

use super::consent::{Answer, Consent};
use super::print::print;
use super::progress::{Progress, Voice, size};
use crate::config::Settings;
use crate::startup::{self, Existing};

#[derive(Args)]
pub(super) struct Backup {
    /// The file to write
    file: PathBuf,
    /// Replace an earlier backup
    ///
    /// Nothing else is replaced: neither another file or a link, nor a database to serve
    /// from, nor anything of the service's own.
    #[arg(long)]
    force: bool,
}

#[derive(Args)]
pub(super) struct Restore {
    /// What `gatelodge backup` has written
    file: PathBuf,
    #[command(flatten)]
    consent: Consent,
}

impl Backup {
    pub(super) async fn run(self, settings: Settings, voice: Voice) -> anyhow::Result<()> {
        ensure!(
            settings.database.is_sqlite(),
            "the ledger is PostgreSQL: back it up with pg_dump or pg_basebackup. After a restore, \
             run `gatelodge sessions revoke --everyone`: some sessions that it brings back had \
             ended"
        );
        let existing = if self.force {
            Existing::Replaced
        } else {
            Existing::Kept
        };
        let mut progress = Progress::begin(voice, None);
        let told = |copied: startup::Copied| {
            progress.tell(0, || how_far(copied));
        };
        startup::back_up(&settings, &self.file, existing, told).await?;
        drop(progress);
        print(&format!(
            "wrote {}: all but the keys. It holds password hashes: keep it as safe as the database",
            self.file.display()
        ))
    }
}

impl Restore {
    pub(super) async fn run(self, settings: Settings, voice: Voice) -> anyhow::Result<()> {
        let Some(database) = settings.database.file() else {
            anyhow::bail!(
                "the ledger is PostgreSQL: restore it with its own tools, then run `gatelodge \
                 sessions revoke --everyone`: some sessions that it brings back had ended"
            );
        };
        let question = format!(
            "Put {} in the place of {}? It logs everyone out.",
            self.file.display(),
            database.display()
        );
        if self.consent.ask(&question)? == Answer::No {
            return print("restored nothing");
        }
        let mut progress = Progress::begin(voice, None);
        let told = |copied: startup::Copied| {
            progress.tell(0, || how_far(copied));
        };
        let aside = startup::restore(&settings, &self.file, told).await?;
        drop(progress);
        print("restored. Everyone is logged out, and links that set a password are dead")?;
        if let Some(aside) = aside {
            print(&format!(
                "the database that was there is {}: remove it when you need it no more",
                aside.display()
            ))?;
        }
        Ok(())
    }
}

fn how_far(copied: startup::Copied) -> String {
    let (done, whole) = (size(copied.done), size(copied.whole));
    format!("copied {done} of about {whole}")
}
