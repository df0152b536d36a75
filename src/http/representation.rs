//! Users, sessions and events as the API shows them.

use std::net::IpAddr;

use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::Attempts;
use crate::domain::audit::{Actor, Recorded};
use crate::domain::client::UserAgent;
use crate::domain::email::Email;
use crate::domain::id::{EventId, RequestId, SessionId, UserId};
use crate::domain::page::{Cursor, Page};
use crate::domain::session::{Record, Session};
use crate::domain::time::Timestamp;
use crate::domain::user::{Role, Status, User, UserName};

/// Somebody who can log in.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView<'a> {
    #[schema(value_type = String, format = Uuid, example = "01939d5e-7e1c-7a3b-9f60-1b2f3a4c5d6e")]
    id: UserId,
    #[schema(value_type = String, format = Email, example = "ada@example.com")]
    email: &'a Email,
    #[schema(value_type = String, example = "Ada Lovelace")]
    name: &'a UserName,
    #[schema(value_type = RoleName)]
    role: Role,
    #[schema(value_type = StatusName)]
    status: Status,
    #[schema(value_type = String, format = DateTime, example = "2026-09-21T14:13:20.25Z")]
    created_at: Timestamp,
}

/// Wrong passwords, and whether any more are tried.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempts)]
pub(super) struct AttemptsBody {
    #[schema(example = 3)]
    failures: u32,
    /// Until when none is tried.
    #[schema(required, value_type = Option<String>, format = DateTime, example = "2026-09-21T14:28:20.25Z")]
    blocked_until: Option<Timestamp>,
}

impl From<Attempts> for AttemptsBody {
    fn from(attempts: Attempts) -> Self {
        Self {
            failures: attempts.failures(),
            blocked_until: attempts.blocked_until(),
        }
    }
}

/// What somebody may do.
#[derive(ToSchema)]
#[schema(as = Role, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the domain's")]
pub(super) enum RoleName {
    User,
    Admin,
}

/// Whether somebody may log in.
#[derive(ToSchema)]
#[schema(as = Status, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the domain's")]
pub(super) enum StatusName {
    Active,
    Locked,
}

/// Whether it was done.
#[derive(ToSchema)]
#[schema(as = Outcome, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the domain's")]
pub(super) enum OutcomeName {
    Success,
    Failure,
}

impl<'a> From<&'a Record> for UserView<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            id: record.session.user_id,
            email: &record.email,
            name: &record.name,
            role: record.role,
            status: Status::Active,
            created_at: record.user_created_at,
        }
    }
}

impl<'a> From<&'a User> for UserView<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id,
            email: &user.email,
            name: &user.name,
            role: user.role,
            status: user.status,
            created_at: user.created_at,
        }
    }
}

/// Where somebody is logged in.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView<'a> {
    /// Names the session; opens nothing.
    #[schema(value_type = String, format = Uuid, example = "01939d5e-8f00-7c11-8a2b-0c1d2e3f4a5b")]
    id: SessionId,
    #[schema(value_type = String, format = Uuid, example = "01939d5e-7e1c-7a3b-9f60-1b2f3a4c5d6e")]
    user_id: UserId,
    #[schema(value_type = String, format = DateTime, example = "2026-09-21T14:13:20.25Z")]
    issued_at: Timestamp,
    /// When a password was last verified for it.
    #[schema(value_type = String, format = DateTime, example = "2026-09-21T14:13:20.25Z")]
    authenticated_at: Timestamp,
    #[schema(value_type = String, format = DateTime, example = "2026-09-21T15:02:11.9Z")]
    last_seen_at: Timestamp,
    #[schema(value_type = String, format = DateTime, example = "2026-09-22T14:13:20.25Z")]
    expires_at: Timestamp,
    /// When it ends unless it is seen again.
    #[schema(value_type = String, format = DateTime, example = "2026-09-21T17:02:11.9Z")]
    idle_expires_at: Timestamp,
    remember_me: bool,
    #[schema(required, value_type = Option<String>, example = "203.0.113.9")]
    ip: Option<IpAddr>,
    #[schema(required, value_type = Option<String>, example = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0")]
    user_agent: Option<&'a UserAgent>,
    /// The user agent in short.
    #[schema(required, example = "Firefox on Linux")]
    device: Option<&'a str>,
    /// Whether it is the session that asks.
    current: bool,
}

impl<'a> SessionView<'a> {
    /// `current`: the session that asks.
    pub(super) fn new(session: &'a Session, current: SessionId) -> Self {
        Self {
            current: session.id == current,
            ..session.into()
        }
    }
}

impl<'a> From<&'a Session> for SessionView<'a> {
    fn from(session: &'a Session) -> Self {
        Self {
            id: session.id,
            user_id: session.user_id,
            issued_at: session.issued_at(),
            authenticated_at: session.authenticated_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            idle_expires_at: session.idle_expires_at(),
            remember_me: session.remember_me,
            ip: session.address,
            user_agent: session.user_agent.as_ref(),
            device: session.user_agent.as_ref().map(UserAgent::device),
            current: false,
        }
    }
}

/// Something that was done.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView<'a> {
    #[schema(value_type = String, format = Uuid, example = "01939d60-0000-7000-8000-000000000001")]
    id: EventId,
    #[schema(value_type = String, format = DateTime, example = "2026-09-21T15:20:00Z")]
    at: Timestamp,
    /// One of `Action`, or of a later version.
    #[schema(example = "role_changed")]
    action: &'a str,
    /// `failure`: it was refused, and changed nothing.
    #[schema(value_type = OutcomeName)]
    outcome: &'static str,
    /// Who did it; null for an operator, and for who was not known yet.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    actor_id: Option<UserId>,
    /// Whether it was done on the command line.
    by_operator: bool,
    /// Whom it concerned; null if nobody in particular.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    subject_id: Option<UserId>,
    #[schema(required, value_type = Option<String>, format = Uuid)]
    session_id: Option<SessionId>,
    #[schema(required, value_type = Option<String>, example = "203.0.113.9")]
    ip: Option<IpAddr>,
    /// As the service's log names the request; null for a command.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    request_id: Option<RequestId>,
    /// As who did it gave it.
    #[schema(required)]
    reason: Option<&'a str>,
    /// What more there is to say, such as the new role.
    #[schema(required, example = "admin")]
    detail: Option<&'a str>,
}

impl<'a> From<&'a Recorded> for EventView<'a> {
    fn from(event: &'a Recorded) -> Self {
        Self {
            id: event.id,
            at: event.at,
            action: &event.action,
            outcome: event.outcome.as_str(),
            actor_id: event.actor.user(),
            by_operator: event.actor == Actor::Operator,
            subject_id: event.subject,
            session_id: event.session,
            ip: event.source.address,
            request_id: event.source.request,
            reason: event.reason.as_deref(),
            detail: event.detail.as_deref(),
        }
    }
}

/// Who somebody is, and by which session.
#[derive(Serialize, ToSchema)]
#[schema(as = Identity)]
pub(super) struct IdentityBody<'a> {
    user: UserView<'a>,
    session: SessionView<'a>,
}

impl<'a> From<&'a Record> for IdentityBody<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            user: record.into(),
            session: SessionView::new(&record.session, record.session.id),
        }
    }
}

/// Who somebody is, by which session, and the JWT that was asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = Whoami)]
pub(super) struct WhoamiBody<'a> {
    user: UserView<'a>,
    session: SessionView<'a>,
    /// With `tokenize_as` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, example = "eyJhbGciOiJFZERTQSIsImtpZCI6Ii4uLiIsInR5cCI6IkpXVCJ9.e30.c2ln")]
    tokenized: Option<&'a str>,
}

impl<'a> WhoamiBody<'a> {
    pub(super) fn new(record: &'a Record, tokenized: Option<&'a str>) -> Self {
        let IdentityBody { user, session } = record.into();
        Self {
            user,
            session,
            tokenized,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct UserBody<'a> {
    user: UserView<'a>,
}

impl<'a> From<&'a User> for UserBody<'a> {
    fn from(user: &'a User) -> Self {
        Self { user: user.into() }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct UsersBody<'a> {
    users: Vec<UserView<'a>>,
    /// What to ask for the next page with; null on the last.
    #[schema(required, value_type = Option<String>)]
    next_cursor: Option<Cursor<UserId>>,
}

impl<'a> From<&'a Page<User, UserId>> for UsersBody<'a> {
    fn from(page: &'a Page<User, UserId>) -> Self {
        Self {
            users: page.items.iter().map(UserView::from).collect(),
            next_cursor: page.next,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct SessionBody<'a> {
    session: SessionView<'a>,
}

impl<'a> SessionBody<'a> {
    pub(super) fn new(session: &'a Session, current: SessionId) -> Self {
        Self {
            session: SessionView::new(session, current),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct SessionsBody<'a> {
    sessions: Vec<SessionView<'a>>,
}

impl<'a> SessionsBody<'a> {
    pub(super) fn new(sessions: &'a [Session], current: SessionId) -> Self {
        let view = |session| SessionView::new(session, current);
        Self {
            sessions: sessions.iter().map(view).collect(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct SessionsPageBody<'a> {
    #[serde(flatten)]
    page: SessionsBody<'a>,
    /// What to ask for the next page with; null on the last.
    #[schema(required, value_type = Option<String>)]
    next_cursor: Option<Cursor<SessionId>>,
}

impl<'a> SessionsPageBody<'a> {
    pub(super) fn new(page: &'a Page<Session, SessionId>, current: SessionId) -> Self {
        Self {
            page: SessionsBody::new(&page.items, current),
            next_cursor: page.next,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct EventsBody<'a> {
    events: Vec<EventView<'a>>,
    /// What to ask for the next page with; null on the last.
    #[schema(required, value_type = Option<String>)]
    next_cursor: Option<Cursor<EventId>>,
}

impl<'a> From<&'a Page<Recorded, EventId>> for EventsBody<'a> {
    fn from(page: &'a Page<Recorded, EventId>) -> Self {
        Self {
            events: page.items.iter().map(EventView::from).collect(),
            next_cursor: page.next,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct RevokedBody {
    /// How many sessions were in use and have been ended.
    #[schema(example = 2)]
    pub(super) revoked: usize,
}
