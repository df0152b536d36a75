//! `gatelodge doctor`.

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::print::{print, print_json};
use crate::config::{Mistakes, Settings};
use crate::domain::finding::{Finding, State};
use crate::startup;

#[derive(Args)]
pub(super) struct Doctor {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) async fn run(self, settings: Result<Settings, Mistakes>) -> anyhow::Result<()> {
        const ABOUT: &str = "configuration";
        let findings = match settings {
            Ok(settings) => {
                let mut findings = vec![Finding::ok(ABOUT, "it is right")];
                findings.extend(startup::examine(&settings).await);
                findings
            }
            Err(mistakes) => {
                let each = mistakes.each().map(|mistake| {
                    Finding::fail(ABOUT, mistake, "docs/configuration.md names all there is")
                });
                each.collect()
            }
        };
        if self.json {
            print_json(&json!({ "findings": findings }))?;
        } else {
            print(&lines(&findings))?;
        }
        let failures = findings.iter().filter(|one| one.state == State::Fail);
        match failures.count() {
            0 => Ok(()),
            1 => bail!("one thing is to be mended"),
            count => bail!("{count} things are to be mended"),
        }
    }
}

/// As people read them.
pub(super) fn lines(findings: &[Finding]) -> String {
    let lines: Vec<_> = findings.iter().map(line).collect();
    lines.join("\n")
}

fn line(finding: &Finding) -> String {
    let Finding {
        about,
        state,
        found,
        mend,
    } = finding;
    let mend = mend.as_ref().map(|mend| format!("\n{:9}→ {mend}", ""));
    format!(
        "{:7}  {about}: {found}{}",
        state.as_str(),
        mend.unwrap_or_default()
    )
}
