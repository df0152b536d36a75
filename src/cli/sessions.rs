//! `gatelodge sessions`.

use anyhow::ensure;
use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;

use super::consent::{Answer, Consent};
use super::print::{print, print_json, print_table};
use super::progress::{Progress, Voice};
use super::{effect, users};
use crate::domain::audit::Act;
use crate::domain::id::{SessionId, UserId};
use crate::domain::network::Network;
use crate::domain::page::{Limit, PageOf};
use crate::domain::session::{Selection, Session, SessionFilter};
use crate::domain::text::{Fragment, Line};
use crate::domain::time::Timestamp;
use crate::http::SessionView;
use crate::sessions::{Revoked, Swept};
use crate::startup::Operator;

/// What can name more than one user's sessions.
const MANY: [&str; 6] = [
    "everyone",
    "ip",
    "user_agent",
    "issued_after",
    "issued_before",
    "last_seen_before",
];

#[derive(Subcommand)]
pub(super) enum Command {
    /// List sessions in use, the newest first: those matching all the given filters
    List(List),
    /// End sessions, on every instance within a second: one, everyone's, or those matching
    /// all the given filters
    Revoke(Revoke),
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    filter: Filter,
    /// As JSON, like the API
    #[arg(long)]
    json: bool,
}

/// Which sessions: those matching all of it.
#[derive(Args)]
struct Filter {
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
}

/// Which sessions: one, everyone's, or those of a filter.
#[derive(Args)]
#[command(
    group = ArgGroup::new("target").required(true).multiple(true).args(["id", "user"]).args(MANY),
)]
pub(super) struct Revoke {
    /// One session
    #[arg(long, value_parser = session_id, conflicts_with_all = ["user"].iter().chain(&MANY))]
    id: Option<SessionId>,
    /// All there are
    #[arg(long, conflicts_with_all = ["user"].iter().chain(&MANY[1..]))]
    everyone: bool,
    #[command(flatten)]
    filter: Filter,
    /// Only say what would be ended
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
    /// For the audit log; not of one session
    #[arg(long, value_parser = Line::parse, conflicts_with = "id")]
    reason: Option<Line>,
}

fn session_id(text: &str) -> Result<SessionId, &'static str> {
    text.parse().map_err(|_| "must be a session's id (UUID)")
}

impl Filter {
    async fn parse(&self, operator: &Operator) -> anyhow::Result<SessionFilter> {
        let user = match &self.user {
            Some(whom) => Some(users::find(operator, whom).await?.id),
            None => None,
        };
        let filter = SessionFilter {
            user,
            network: self.ip,
            user_agent: self.user_agent.clone(),
            issued_after: self.issued_after,
            issued_before: self.issued_before,
            last_seen_before: self.last_seen_before,
        };
        ensure!(
            !filter.contradicts_itself(),
            "no session can be of both times"
        );
        Ok(filter)
    }
}

pub(super) async fn run(command: Command, operator: &Operator, voice: Voice) -> anyhow::Result<()> {
    match command {
        Command::List(asked) => list(asked, operator).await,
        Command::Revoke(asked) => revoke(asked, operator, voice).await,
    }
}

async fn list(asked: List, operator: &Operator) -> anyhow::Result<()> {
    let filter = asked.filter.parse(operator).await?;
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

async fn revoke(asked: Revoke, operator: &Operator, voice: Voice) -> anyhow::Result<()> {
    let filter = asked.filter.parse(operator).await?;
    let of_a_user = SessionFilter {
        user: filter.user,
        ..SessionFilter::default()
    };
    let answer = match (asked.id, Selection::of(filter.clone()), filter.user) {
        (Some(id), _, _) => revoke_one(id, &asked, operator).await?,
        (None, Some(_), Some(user)) if filter == of_a_user => {
            revoke_all_of(user, &asked, operator).await?
        }
        (None, Some(selection), _) => revoke_matching(selection, &asked, operator, voice).await?,
        (None, None, _) => revoke_everyone(&asked, operator).await?,
    };
    if answer == Answer::No {
        return print("ended nothing");
    }
    if asked.dry_run {
        return Ok(());
    }
    effect::wait(operator).await
}

async fn revoke_one(id: SessionId, asked: &Revoke, operator: &Operator) -> anyhow::Result<Answer> {
    let sessions = &operator.sessions;
    let is_there = if asked.dry_run {
        sessions.find(id).await?.is_some()
    } else {
        sessions.revoke_anyones(id, act(operator)).await? == Revoked::Done
    };
    ensure!(is_there, "there is no session {id}, or not any more");
    asked.tell("1 session")?;
    Ok(Answer::Yes)
}

/// All of a user's sessions end at once, however many there are.
async fn revoke_all_of(
    user: UserId,
    asked: &Revoke,
    operator: &Operator,
) -> anyhow::Result<Answer> {
    let sessions = &operator.sessions;
    let of_user = Selection::of(SessionFilter {
        user: Some(user),
        ..SessionFilter::default()
    });
    let count = match of_user {
        Some(selection) if asked.dry_run => sessions.count_matching(&selection).await?,
        _ => {
            let reason = asked.reason.clone();
            sessions.revoke_all(user, reason, act(operator)).await?
        }
    };
    let whom = asked.filter.user.as_deref().unwrap_or_default();
    asked.tell(&format!("{} of {whom}", counted(count)))?;
    Ok(Answer::Yes)
}

async fn revoke_matching(
    selection: Selection,
    asked: &Revoke,
    operator: &Operator,
    voice: Voice,
) -> anyhow::Result<Answer> {
    let sessions = &operator.sessions;
    if asked.dry_run {
        let count = sessions.count_matching(&selection).await?;
        asked.tell(&counted(count))?;
        return Ok(Answer::Yes);
    }
    let whole = sessions.count_matching(&selection).await?;
    let question = format!("End {} ({})?", counted(whole), selection.filter());
    if whole > 0 && asked.consent.ask(&question)? == Answer::No {
        return Ok(Answer::No);
    }
    let mut progress = Progress::begin(voice, whole.try_into().ok());
    let told = move |swept: Swept| {
        let at = swept.matched.try_into().unwrap_or(u64::MAX);
        progress.tell(at, || format!("ended {}", counted(swept.revoked)));
    };
    let (reason, act) = (asked.reason.clone(), act(operator));
    let swept = sessions.revoke_matching(selection, reason, act, told);
    asked.tell(&counted(swept.await?.revoked))?;
    Ok(Answer::Yes)
}

async fn revoke_everyone(asked: &Revoke, operator: &Operator) -> anyhow::Result<Answer> {
    if !asked.dry_run {
        if asked.consent.ask("End everyone's sessions?")? == Answer::No {
            return Ok(Answer::No);
        }
        let (sessions, reason) = (&operator.sessions, asked.reason.clone());
        sessions.revoke_everyone(reason, act(operator)).await?;
    }
    asked.tell("everyone's sessions")?;
    Ok(Answer::Yes)
}

impl Revoke {
    fn tell(&self, what: &str) -> anyhow::Result<()> {
        let would_have = if self.dry_run { "would have " } else { "" };
        print(&format!("{would_have}ended {what}"))
    }
}

fn act(operator: &Operator) -> Act {
    operator.sessions.operators_act()
}

fn counted(count: usize) -> String {
    let noun = if count == 1 { "session" } else { "sessions" };
    format!("{count} {noun}")
}
