//! The commands. Each reads the same configuration as the service, and works
//! beside it.

mod config;
mod effect;
mod events;
mod hash;
mod healthcheck;
mod keys;
mod password;
mod print;
mod serve;
mod sessions;
mod supervisor;
mod users;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Parser, Subcommand};

use crate::accounts::Earlier;
use crate::config::{Mistakes, Settings};
use crate::domain::audit::{Actor, Source};
use crate::startup::{self, Operator};
use print::print;

/// Sessions you can revoke, as fast as a JWT.
///
/// Without a command, gatelodge serves.
#[derive(Parser)]
#[command(
    name = "gatelodge",
    version,
    after_help = "Every command reads gatelodge.toml, then the environment (GATELODGE_…, \
                  DATABASE_URL, REDIS_URL) and a file .env in this folder. Commands work while \
                  the service runs, and what they end is refused by every instance within a \
                  second. The exit status is 0, 1 if the command failed, 2 if it was misused."
)]
struct Cli {
    /// The configuration file [default: gatelodge.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Log users in and answer whose session a request carries
    Serve,
    /// Bring the database's schema up to this version
    Migrate,
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Print a new link to set up the first admin; earlier ones are dead
    SetupLink,
    /// Ask the service on this machine whether it is ready
    Healthcheck,
    /// Create, find, lock and delete users
    #[command(subcommand)]
    Users(users::Command),
    /// Find and end sessions
    #[command(subcommand)]
    Sessions(sessions::Command),
    /// Export the audit log
    #[command(subcommand)]
    Events(events::Command),
    /// Measure what passwords cost
    #[command(subcommand)]
    Hash(hash::Command),
    /// Make secrets
    #[command(subcommand)]
    Keys(keys::Command),
}

/// Runs the command that the arguments name. The exit status is 0, 1 if it
/// failed, or 2 if the arguments are not those of a command.
#[must_use]
pub fn run() -> ExitCode {
    let Cli { config, command } = Cli::parse();
    let settings = || settings(config.as_deref());
    let done = match command.unwrap_or(Command::Serve) {
        Command::Serve => settings().and_then(|settings| block_on(serve::serve(settings))),
        Command::Migrate => settings().and_then(|settings| block_on(migrate(settings))),
        Command::Config(command) => config::run(&command, settings),
        Command::SetupLink => operate(settings(), setup_link),
        Command::Healthcheck => settings().and_then(|settings| healthcheck::run(&settings)),
        Command::Users(command) => operate(settings(), async |operator| {
            users::run(command, operator).await
        }),
        Command::Sessions(command) => operate(settings(), async |operator| {
            sessions::run(command, operator).await
        }),
        Command::Events(command) => operate(settings(), async |operator| {
            events::run(command, operator).await
        }),
        Command::Hash(command) => hash::run(&command),
        Command::Keys(command) => keys::run(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "gatelodge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What `.env` in this folder says, and over it the environment.
fn settings(file: Option<&Path>) -> anyhow::Result<Settings> {
    let mut environment = BTreeMap::new();
    if let Ok(file) = dotenvy::from_path_iter(".env") {
        for (number, variable) in (1..).zip(file) {
            // The error itself shows the line, which may be a secret.
            let (name, value) = variable
                .map_err(|_| anyhow::anyhow!(".env: assignment {number} is not NAME=value"))?;
            environment.insert(name, value);
        }
    }
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    environment.extend(std::env::vars_os().filter_map(text));
    Settings::load(file, environment).map_err(Mistakes::into)
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Runs a command on the stores, and waits for what it has begun.
fn operate(
    settings: anyhow::Result<Settings>,
    command: impl AsyncFnOnce(&Operator) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let settings = settings?;
    block_on(async {
        let operator = startup::operate(&settings).await?;
        let done = command(&operator).await;
        operator.sessions.stop().await;
        done
    })
}

async fn migrate(settings: Settings) -> anyhow::Result<()> {
    let ledger = startup::migrated_ledger(&settings).await?;
    ledger.close().await;
    print("the schema is up to date")
}

async fn setup_link(operator: &Operator) -> anyhow::Result<()> {
    let act = operator.sessions.act(Actor::Operator, Source::default());
    let link = operator
        .accounts
        .issue_setup_link(Earlier::Replaced, act)
        .await?;
    let Some(link) = link else {
        bail!("there is an admin already; `gatelodge users password-link` resets a password");
    };
    print(&operator.links.setup(&link.token))
}
