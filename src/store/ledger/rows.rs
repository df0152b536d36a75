//! Rows as the statements return them, and what they mean.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _};

use super::columns::Address;
use crate::domain::audit::{Actor, Outcome, Recorded, Source};
use crate::domain::client::UserAgent;
use crate::domain::email::Email;
use crate::domain::id::{EventId, InstanceId, RequestId, SessionId, UserId};
use crate::domain::instance::{BeatNumber, Registered, Report};
use crate::domain::password::PasswordHash;
use crate::domain::revocation::{Entry, LogNumber, Mark, MarkPrefix, Revocation, Vouched};
use crate::domain::session::{Record, Session};
use crate::domain::time::Timestamp;
use crate::domain::user::{CredentialVersion, Credentials, Role, Status, User, UserName};

#[derive(FromRow)]
pub(super) struct UserRow {
    user_id: UserId,
    email: Email,
    name: UserName,
    role: Role,
    status: Status,
    created_at: Timestamp,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.user_id,
            email: row.email,
            name: row.name,
            role: row.role,
            status: row.status,
            created_at: row.created_at,
        }
    }
}

#[derive(FromRow)]
pub(super) struct CredentialsRow {
    #[sqlx(flatten)]
    user: UserRow,
    password_hash: Option<PasswordHash>,
    credential_version: CredentialVersion,
}

impl From<CredentialsRow> for Credentials {
    fn from(row: CredentialsRow) -> Self {
        Self {
            user: row.user.into(),
            password_hash: row.password_hash,
            version: row.credential_version,
        }
    }
}

#[derive(FromRow)]
pub(super) struct SessionRow {
    session_id: SessionId,
    session_user_id: UserId,
    born: LogNumber,
    authenticated_at: Timestamp,
    last_seen_at: Timestamp,
    expires_at: Timestamp,
    idle_timeout_ms: i64,
    remember_me: bool,
    address: Option<Address>,
    user_agent: Option<UserAgent>,
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        Self {
            id: row.session_id,
            user_id: row.session_user_id,
            born: row.born,
            authenticated_at: row.authenticated_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
            idle_timeout_ms: row.idle_timeout_ms.try_into().unwrap_or(0),
            remember_me: row.remember_me,
            address: row.address.map(|address| address.0),
            user_agent: row.user_agent,
        }
    }
}

#[derive(FromRow)]
pub(super) struct RecordRow {
    #[sqlx(flatten)]
    session: SessionRow,
    #[sqlx(flatten)]
    user: UserRow,
    vouched: LogNumber,
    vouched_mark: Mark,
}

impl From<RecordRow> for Record {
    fn from(row: RecordRow) -> Self {
        let vouched = Vouched {
            number: row.vouched,
            mark: row.vouched_mark.prefix(),
        };
        Self::new(row.session.into(), row.user.into(), vouched)
    }
}

/// A record, if there is one, and whether the server may be behind.
pub(super) struct FoundRow {
    pub(super) is_read_only: bool,
    pub(super) record: Option<RecordRow>,
}

macro_rules! found {
    ($row:ty) => {
        impl FromRow<'_, $row> for FoundRow {
            fn from_row(row: &$row) -> Result<Self, sqlx::Error> {
                let user: Option<UserId> = row.try_get("user_id")?;
                Ok(Self {
                    is_read_only: row.try_get("is_read_only")?,
                    record: user.map(|_| RecordRow::from_row(row)).transpose()?,
                })
            }
        }
    };
}

found!(PgRow);
found!(SqliteRow);

/// A row per entry; one with nothing in the entry's columns if there is none.
#[derive(FromRow)]
pub(super) struct LogRow {
    pub(super) head: LogNumber,
    pub(super) head_mark: Mark,
    pub(super) known_mark: Option<Mark>,
    pub(super) known_at: Option<Timestamp>,
    pub(super) now: Timestamp,
    pub(super) is_read_only: bool,
    number: Option<LogNumber>,
    mark: Option<Mark>,
    kind: Option<String>,
    user_id: Option<UserId>,
    session_id: Option<SessionId>,
    pub(super) recorded_at: Option<Timestamp>,
}

impl LogRow {
    pub(super) fn entry(&self) -> Option<Entry> {
        Some(Entry {
            number: self.number?,
            mark: self.mark?,
            revocation: revocation(self.kind.as_deref()?, self.user_id, self.session_id),
        })
    }
}

const SESSION_ENDED: &str = "session_ended";
const USER_ENDED: &str = "user_ended";
const USER_CHANGED: &str = "user_changed";
const EVERYONE_ENDED: &str = "everyone_ended";

fn revocation(kind: &str, user: Option<UserId>, session: Option<SessionId>) -> Revocation {
    match (kind, user, session) {
        (SESSION_ENDED, _, Some(session)) => Revocation::SessionEnded(session),
        (USER_ENDED, Some(user), spared) => Revocation::UserEnded { user, spared },
        (USER_CHANGED, Some(user), _) => Revocation::UserChanged(user),
        (EVERYONE_ENDED, _, _) => Revocation::EveryoneEnded,
        _ => Revocation::Unknown,
    }
}

/// What a revocation's columns hold.
pub(super) struct RevocationColumns {
    pub(super) kind: &'static str,
    pub(super) user: Option<UserId>,
    pub(super) session: Option<SessionId>,
}

impl From<Revocation> for RevocationColumns {
    fn from(revocation: Revocation) -> Self {
        let (kind, user, session) = match revocation {
            Revocation::SessionEnded(session) => (SESSION_ENDED, None, Some(session)),
            Revocation::UserEnded { user, spared } => (USER_ENDED, Some(user), spared),
            Revocation::UserChanged(user) => (USER_CHANGED, Some(user), None),
            Revocation::EveryoneEnded => (EVERYONE_ENDED, None, None),
            Revocation::Unknown => ("unknown", None, None),
        };
        Self {
            kind,
            user,
            session,
        }
    }
}

#[derive(FromRow)]
pub(super) struct EventRow {
    id: EventId,
    at: Timestamp,
    action: String,
    actor_id: Option<UserId>,
    by_operator: bool,
    subject_id: Option<UserId>,
    session_id: Option<SessionId>,
    address: Option<Address>,
    request_id: Option<RequestId>,
    failed: bool,
    reason: Option<String>,
    detail: Option<String>,
}

impl From<EventRow> for Recorded {
    fn from(row: EventRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            action: row.action,
            outcome: if row.failed {
                Outcome::Failure
            } else {
                Outcome::Success
            },
            actor: match row.actor_id {
                Some(user) => Actor::User(user),
                None if row.by_operator => Actor::Operator,
                None => Actor::Stranger,
            },
            subject: row.subject_id,
            session: row.session_id,
            source: Source {
                address: row.address.map(|address| address.0),
                request: row.request_id,
            },
            reason: row.reason,
            detail: row.detail,
        }
    }
}

#[derive(FromRow)]
pub(super) struct AppendedRow {
    pub(super) number: LogNumber,
    pub(super) mark: Mark,
    pub(super) after: Option<Mark>,
}

#[derive(FromRow)]
pub(super) struct InstanceRow {
    id: InstanceId,
    beat: Option<BeatNumber>,
    reached: Option<LogNumber>,
    mark: Option<MarkPrefix>,
    is_deaf: bool,
    is_struck_off: bool,
}

impl From<InstanceRow> for Registered {
    fn from(row: InstanceRow) -> Self {
        Self {
            instance: row.id,
            report: row.report(),
            is_struck_off: row.is_struck_off,
        }
    }
}

impl InstanceRow {
    fn report(&self) -> Option<Report> {
        Some(Report {
            number: self.beat?,
            reached: Vouched {
                number: self.reached?,
                mark: self.mark?,
            },
            is_deaf: self.is_deaf,
        })
    }
}
