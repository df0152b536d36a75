//! The commands. Each reads the same configuration as the service, and works
//! beside it.

mod backup;
mod config;
mod consent;
mod doctor;
mod effect;
mod events;
mod hash;
mod healthcheck;
mod import;
mod keys;
mod password;
mod print;
mod progress;
mod reference;
mod serve;
mod sessions;
mod supervisor;
mod users;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::accounts::Earlier;
use crate::config::{Mistakes, Settings, is_there, is_variable};
use crate::domain::cause;
use crate::startup::{self, Operator};
use print::print;
use progress::{Progress, Voice};

/// Where help names what every command takes.
const GLOBAL: &str = "Global options";

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
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    config: Option<PathBuf>,
    /// Tell nothing of the progress of long work
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    quiet: bool,
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
    /// Look at everything that the service stands on, and say what to mend
    ///
    /// Changes nothing, and works whether or not the service runs. The exit status is 1
    /// if something must be mended.
    Doctor(doctor::Doctor),
    /// Create, find, lock and delete users
    #[command(subcommand)]
    Users(users::Command),
    /// Write the SQLite database to a file, while the service runs or not
    ///
    /// The file is whole or not there at all. The keys are not in it: a restore logs
    /// everyone out, and needs none of the old ones. PostgreSQL has `pg_dump` and
    /// `pg_basebackup`.
    Backup(backup::Backup),
    /// Put a backup in the place of the SQLite database, while the service is stopped
    ///
    /// Everyone is logged out, for the backup may know sessions that have ended since.
    /// The database that was there is kept beside it.
    Restore(backup::Restore),
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
    let Cli {
        config,
        quiet,
        command,
    } = Cli::parse();
    let voice = if quiet { Voice::Quiet } else { Voice::Telling };
    let read = || settings(config.as_deref());
    let settings = || Ok(read()??);
    let done = match command.unwrap_or(Command::Serve) {
        Command::Serve => settings().and_then(|settings| block_on(serve::serve(settings))),
        Command::Migrate => settings().and_then(|settings| block_on(migrate(settings, voice))),
        Command::Config(command) => config::run(&command, settings, Cli::command),
        Command::Backup(backup) => {
            settings().and_then(|settings| block_on(backup.run(settings, voice)))
        }
        Command::Restore(restore) => {
            settings().and_then(|settings| block_on(restore.run(settings, voice)))
        }
        Command::SetupLink => operate(settings(), setup_link),
        Command::Doctor(doctor) => read().and_then(|settings| block_on(doctor.run(settings))),
        Command::Healthcheck => settings().and_then(|settings| healthcheck::run(&settings)),
        Command::Users(command) => operate(settings(), async |operator| {
            users::run(command, operator, voice).await
        }),
        Command::Sessions(command) => operate(settings(), async |operator| {
            sessions::run(command, operator, voice).await
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
            let _ = writeln!(io::stderr(), "gatelodge: {}", cause::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// What `.env` in this folder says, and over it the environment.
fn settings(file: Option<&Path>) -> anyhow::Result<Result<Settings, Mistakes>> {
    let mut environment = BTreeMap::new();
    for (number, variable) in (1..).zip(dotenv()?.into_iter().flatten()) {
        let (name, value) = variable.map_err(|error| match error {
            dotenvy::Error::Io(error) => unreadable(&error),
            // The error itself shows the line, which may be a secret.
            _ => anyhow::anyhow!(".env: assignment {number} is not NAME=value"),
        })?;
        environment.insert(name, value);
    }
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else {
            continue;
        };
        match value.into_string() {
            Ok(value) => {
                environment.insert(name, value);
            }
            Err(_) if is_variable(&name) => bail!("{name} is not UTF-8"),
            Err(_) => {}
        }
    }
    Ok(Settings::load(file, environment))
}

/// The file, if there is one. Without what is in one that cannot be read, the service would
/// begin with an empty database.
fn dotenv() -> anyhow::Result<Option<dotenvy::Iter<File>>> {
    match dotenvy::from_path_iter(".env") {
        Ok(file) => Ok(Some(file)),
        Err(_) if !is_there(Path::new(".env")) => Ok(None),
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &dyn std::error::Error) -> anyhow::Error {
    anyhow::anyhow!(".env cannot be read: {error}")
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

async fn migrate(settings: Settings, voice: Voice) -> anyhow::Result<()> {
    let mut progress = Progress::begin(voice, None);
    progress.tell(0, || "migrating".to_owned());
    let done = startup::migrate(&settings, |made| {
        progress.note(&format!(
            "migration {} ({}): {:.1} s",
            made.version,
            made.description,
            made.took.as_secs_f64()
        ));
    });
    done.await?;
    drop(progress);
    print("the schema is up to date")
}

async fn setup_link(operator: &Operator) -> anyhow::Result<()> {
    let act = operator.sessions.operators_act();
    let link = operator
        .accounts
        .issue_setup_link(Earlier::Replaced, act)
        .await?;
    let Some(link) = link else {
        bail!("there is an admin already; `gatelodge users password-link` resets a password");
    };
    print(&operator.links.setup(&link.token))
}
