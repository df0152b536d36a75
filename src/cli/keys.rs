//! `gatelodge keys`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;

use super::print::print;
use crate::startup;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a new key for secrets.keys: 64 random bytes in base64
    Generate {
        /// Write it to this file, for its owner alone, instead of printing it;
        /// a file that is there already is left alone
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    let Command::Generate { out } = command;
    match out {
        None => print(&startup::generate_key()),
        Some(path) if path.exists() => print(&format!("{} is there already", path.display())),
        Some(path) => {
            startup::write_key(path).with_context(|| format!("cannot write {}", path.display()))?;
            print(&format!("wrote a new key to {}", path.display()));
        }
    }
    Ok(())
}
