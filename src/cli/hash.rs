//! `gatelodge hash`.

use std::time::Duration;

use clap::Subcommand;

use super::print::print;
use crate::accounts::time_of_one_hash;
use crate::config::duration;
use crate::domain::password::Cost;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Measure this machine, and name the `password.bcrypt_cost` for a chosen time
    ///
    /// The cost named is the highest whose hash takes no longer than that. Each
    /// more doubles the time of a log-in, and of a guess.
    Calibrate {
        /// How long one hash may take
        #[arg(long, value_name = "DURATION", default_value = "250ms", value_parser = duration)]
        time: Duration,
    },
}

/// Below it a hash is no obstacle (OWASP, Password Storage).
const LOWEST: u32 = 10;

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    let Command::Calibrate { time } = command;
    let mut chosen = None;
    for number in LOWEST..=Cost::MAX {
        let Some(cost) = Cost::new(number) else { break };
        let taken = time_of_one_hash(cost);
        print(&format!("cost {number}: {} ms", taken.as_millis()))?;
        if taken > *time {
            break;
        }
        chosen = Some(number);
    }
    let Some(chosen) = chosen else {
        anyhow::bail!(
            "cost {LOWEST}, the lowest that protects a password, takes longer than that: \
             choose a longer time"
        );
    };
    print(&format!(
        "set password.bcrypt_cost = {chosen} (GATELODGE_PASSWORD__BCRYPT_COST={chosen})"
    ))
}
