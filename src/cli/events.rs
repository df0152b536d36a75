//! `gatelodge events`.

use std::ops::ControlFlow;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::print::print_lines;
use super::users;
use crate::domain::audit::{Action, Actor, EventFilter};
use crate::domain::id::EventId;
use crate::domain::time::Timestamp;
use crate::http::EventView;
use crate::startup::Operator;

/// As many as are in memory at once.
const BATCH: u32 = 1000;

/// An event gets its id up to that long before others can read it.
const UNSETTLED: Duration = Duration::from_secs(10);

#[derive(Subcommand)]
pub(super) enum Command {
    /// Print events as JSON, one a line, the oldest first: those matching all the given
    /// filters
    ///
    /// Each line is an event as the API shows it. To go on where an export has ended,
    /// give the id of its last line to --after. So that nothing is passed over then,
    /// what is younger than 10 seconds is left to the next export, unless --until is
    /// given.
    Export(Export),
}

#[derive(Args)]
pub(super) struct Export {
    /// After the event of this id
    #[arg(long, value_name = "ID", value_parser = event_id)]
    after: Option<EventId>,
    /// From a time of RFC 3339 on
    #[arg(long, value_parser = Timestamp::parse, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Before a time of RFC 3339
    #[arg(long, value_parser = Timestamp::parse, value_name = "TIME")]
    until: Option<Timestamp>,
    /// What was done, such as `logged_in`
    #[arg(long, value_parser = Action::parse)]
    action: Option<Action>,
    /// Who did it: an e-mail address or id, or `operator`
    #[arg(long)]
    actor: Option<String>,
    /// Whom it concerned, by e-mail address or id
    #[arg(long)]
    subject: Option<String>,
}

fn event_id(text: &str) -> Result<EventId, &'static str> {
    text.parse().map_err(|_| "must be an event's id (UUID)")
}

pub(super) async fn run(command: Command, operator: &Operator) -> anyhow::Result<()> {
    let Command::Export(asked) = command;
    export(asked, operator).await
}

async fn export(asked: Export, operator: &Operator) -> anyhow::Result<()> {
    let settled = operator.sessions.clock().now() - UNSETTLED;
    let filter = EventFilter {
        actor: match asked.actor.as_deref() {
            Some("operator") => Some(Actor::Operator),
            Some(whom) => Some(Actor::User(users::id_of(operator, whom).await?)),
            None => None,
        },
        subject: match asked.subject.as_deref() {
            Some(whom) => Some(users::id_of(operator, whom).await?),
            None => None,
        },
        action: asked.action,
        since: asked.since,
        until: Some(asked.until.unwrap_or(settled)),
    };
    let mut after = asked.after;
    loop {
        let events = operator.accounts.events_after(filter, after, BATCH).await?;
        let Some(last) = events.last() else {
            return Ok(());
        };
        after = Some(last.id);
        if print_lines(events.iter().map(EventView::from))? == ControlFlow::Break(()) {
            return Ok(());
        }
    }
}
