//! The commands.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Mistakes, Settings};
use crate::startup::{self, Application};
use crate::telemetry;

/// Sessions you can revoke, as fast as a JWT.
///
/// Without a command, gatelodge serves.
#[derive(Parser)]
#[command(name = "gatelodge", version)]
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
    /// Make and print secrets
    #[command(subcommand)]
    Keys(Keys),
}

#[derive(Subcommand)]
enum Keys {
    /// Print a new key for secrets.keys: 64 random bytes in base64
    Generate,
}

/// Runs the command that the arguments name. The exit status is 0, 1 if it
/// failed, or 2 if the arguments are not those of a command.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command.as_ref().unwrap_or(&Command::Serve) {
        Command::Serve => settings(&cli).and_then(|settings| block_on(serve(settings))),
        Command::Migrate => settings(&cli).and_then(|settings| block_on(migrate(settings))),
        Command::Keys(Keys::Generate) => {
            print(&startup::generate_key());
            Ok(())
        }
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
fn settings(cli: &Cli) -> anyhow::Result<Settings> {
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
    Settings::load(cli.config.as_deref(), environment).map_err(Mistakes::into)
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    telemetry::start(&settings.log);
    let public_url = settings.server.public_url.clone();
    let ledger = if settings.database.is_sqlite() {
        "SQLite"
    } else {
        "PostgreSQL"
    };
    let hot_store = if settings.redis.url.is_some() {
        "Redis"
    } else {
        "memory"
    };
    let application = Application::build(settings).await?;
    let address = application.address();
    print(&format!(
        "gatelodge {} listens on http://{address}\n\
         ledger: {ledger}, hot store: {hot_store}, public URL: {}",
        env!("CARGO_PKG_VERSION"),
        public_url.origin()
    ));
    if address.ip().is_loopback() && !public_url.is_loopback() {
        tracing::warn!(%address, public_url = public_url.origin(), "only this machine reaches the address bound");
    }
    application.run().await
}

async fn migrate(settings: Settings) -> anyhow::Result<()> {
    let ledger = startup::migrated_ledger(&settings).await?;
    ledger.close().await;
    print("the schema is up to date");
    Ok(())
}

/// Says something on standard output, if anybody still listens there.
fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
