//! `gatelodge keys`.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
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
    let Some(path) = out else {
        return print(&startup::generate_key());
    };
    let is_new =
        startup::write_key(path).with_context(|| format!("cannot write {}", path.display()))?;
    if is_new {
        print(&format!("wrote a new key to {}", path.display()))
    } else {
        ensure!(path.is_file(), "{} is no file", path.display());
        print(&format!("{} is there already", path.display()))
    }
}
