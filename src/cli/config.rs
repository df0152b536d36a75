//! `gatelodge config`.

use clap::Subcommand;

use super::print::{print, print_json};
use super::{doctor, reference};
use crate::config::{Settings, env_example, reference_page};
use crate::domain::finding::State;
use crate::http::{openapi, problems_page};
use crate::telemetry::metrics;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Tell all that is wrong with the configuration
    Check,
    /// Print what can be configured, in Markdown
    Reference,
    /// Print the variables that are read, as a file to copy to .env
    Env,
    /// Print the API's description, in OpenAPI
    Openapi,
    /// Print what GET /metrics tells, in Markdown
    Metrics,
    /// Print what commands there are, in Markdown
    Commands,
    /// Print the kinds of problems that the API answers, in Markdown
    Problems,
}

pub(super) fn run(
    command: &Command,
    settings: impl FnOnce() -> anyhow::Result<Settings>,
    program: impl FnOnce() -> clap::Command,
) -> anyhow::Result<()> {
    match command {
        Command::Check => {
            let mut doubts = settings()?.examine();
            doubts.retain(|finding| finding.state != State::Ok);
            print("the configuration is right")?;
            if doubts.is_empty() {
                return Ok(());
            }
            print(&format!("warnings:\n{}", doctor::lines(&doubts)))
        }
        Command::Reference => print(reference_page().trim_end()),
        Command::Env => print(env_example().trim_end()),
        Command::Openapi => print_json(&openapi()),
        Command::Metrics => print(metrics::reference_page().trim_end()),
        Command::Commands => print(reference::page(program()).trim_end()),
        Command::Problems => print(problems_page().trim_end()),
    }
}
