//! Whether what cannot be undone is to be done.

use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;

#[derive(Args)]
pub(super) struct Consent {
    /// Do not ask for confirmation (without a terminal, nobody is asked)
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Answer {
    Yes,
    No,
}

impl Consent {
    /// Asks whoever is at the terminal, unless there is no need to.
    pub(super) fn ask(&self, question: &str) -> anyhow::Result<Answer> {
        let is_attended = io::stdin().is_terminal() && io::stderr().is_terminal();
        if self.yes || !is_attended {
            return Ok(Answer::Yes);
        }
        ask(question)
    }
}

/// What is not plainly yes is no.
fn ask(question: &str) -> anyhow::Result<Answer> {
    let mut terminal = io::stderr();
    write!(terminal, "{question} [y/N] ")?;
    terminal.flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(match line.trim() {
        "y" | "Y" | "yes" => Answer::Yes,
        _ => Answer::No,
    })
}
