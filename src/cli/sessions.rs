//! `gatelodge sessions`.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;

use super::print::{print, print_json, print_table};
use super::{effect, users};
use crate::domain::audit::{Actor, Source};
use crate::domain::id::SessionId;
use crate::domain::network::Network;
use crate::domain::page::{Limit, PageOf};
use crate::domain::session::{Selection, Session, SessionFilter};
use crate::domain::text::{Fragment, Line};
use crate::domain::time::Timestamp;
use crate::http::SessionView;
use crate::sessions::Revoked;
use crate::startup::Operator;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List sessions in use, the newest first: those that all that is given holds for
    List(List),
    /// End sessions, on every instance within a second
    Revoke(Revoke),
}

#[derive(Args)]
pub(super) struct List {
    /// Of one user, by e-mail address or id
    #[arg(long)]
    user: Option<String>,
    /// From an address, or from a range such as 203.0.113.0/24
    #[arg(long, value_parser = Network::parse)]
    ip: Option<Network>,
    /// With this in the user agent
    #[arg(long, value_parser = Fragment::parse)]
    user_agent: Option<Fragment>,
    /// Issued after a time of RFC 3339
    #[arg(long, value_parser = Timestamp::parse, value_name = "TIME")]
    issued_after: Option<Timestamp>,
    /// Issued before a time of RFC 3339
    #[arg(long, value_parser = Timestamp::parse, value_name = "TIME")]
    issued_before: Option<Timestamp>,
    /// Not seen since a time of RFC 3339
    #[arg(long, value_parser = Timestamp::parse, value_name = "TIME")]
    last_seen_before: Option<Timestamp>,
    /// As JSON, like the API
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    target: Target,
    /// Only say what would be ended
    #[arg(long)]
    dry_run: bool,
    /// For the audit log; with --everyone
    #[arg(long, value_parser = Line::parse, conflicts_with_all = ["id", "user"])]
    reason: Option<Line>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// One session
    #[arg(long)]
    id: Option<SessionId>,
    /// All of one user, by e-mail address or id
    #[arg(long)]
    user: Option<String>,
    /// All there are
    #[arg(long)]
    everyone: bool,
}

pub(super) async fn run(command: Command, operator: &Operator) -> anyhow::Result<()> {
    match command {
        Command::List(asked) => list(asked, operator).await,
        Command::Revoke(asked) => revoke(asked, operator).await,
    }
}

async fn list(asked: List, operator: &Operator) -> anyhow::Result<()> {
    let user = match &asked.user {
        Some(whom) => Some(users::find(operator, whom).await?.id),
        None => None,
    };
    let filter = SessionFilter {
        user,
        network: asked.ip,
        user_agent: asked.user_agent,
        issued_after: asked.issued_after,
        issued_before: asked.issued_before,
        last_seen_before: asked.last_seen_before,
    };
    let (mut sessions, mut page) = (Vec::new(), PageOf::first(Limit::MAX));
    loop {
        let found = operator.sessions.list_all(&filter, page).await?;
        sessions.extend(found.items);
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    if asked.json {
        let sessions: Vec<_> = sessions.iter().map(SessionView::from).collect();
        return print_json(&json!({ "sessions": sessions }));
    }
    let row = |session: &Session| {
        [
            session.id.to_string(),
            session.user_id.to_string(),
            session.last_seen_at.to_string(),
            session.address.map(|ip| ip.to_string()).unwrap_or_default(),
            session
                .user_agent
                .as_ref()
                .map(|user_agent| user_agent.device().to_owned())
                .unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = sessions.iter().map(row).collect();
    print_table(["ID", "USER", "LAST SEEN", "IP", "DEVICE"], &rows)
}

async fn revoke(asked: Revoke, operator: &Operator) -> anyhow::Result<()> {
    let sessions = &operator.sessions;
    let act = sessions.act(Actor::Operator, Source::default());
    let would_have = if asked.dry_run { "would have " } else { "" };
    if let Some(id) = asked.target.id {
        let is_there = if asked.dry_run {
            sessions.find(id).await?.is_some()
        } else {
            sessions.revoke_anyones(id, act).await? == Revoked::Done
        };
        if !is_there {
            bail!("there is no session {id}, or not any more");
        }
        print(&format!("{would_have}ended 1 session"))?;
    } else if let Some(whom) = &asked.target.user {
        let user = users::find(operator, whom).await?.id;
        let count = if asked.dry_run {
            let of_user = SessionFilter {
                user: Some(user),
                ..SessionFilter::default()
            };
            match Selection::of(of_user) {
                Some(selection) => sessions.count_matching(&selection).await?,
                None => 0,
            }
        } else {
            sessions.revoke_all(user, act).await?
        };
        let noun = if count == 1 { "session" } else { "sessions" };
        print(&format!("{would_have}ended {count} {noun} of {whom}"))?;
    } else {
        if !asked.dry_run {
            sessions.revoke_everyone(asked.reason, act).await?;
        }
        print(&format!("{would_have}ended everyone's sessions"))?;
    }
    if asked.dry_run {
        return Ok(());
    }
    effect::wait(operator).await
}
