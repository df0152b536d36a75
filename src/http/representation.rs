//! Users and sessions as the API shows them.

use std::net::IpAddr;

use serde::Serialize;

use crate::domain::client::UserAgent;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::{Record, Session};
use crate::domain::time::Timestamp;
use crate::domain::user::User;

#[derive(Serialize)]
pub(super) struct SessionBody {
    id: SessionId,
    user_id: UserId,
    issued_at: Timestamp,
    authenticated_at: Timestamp,
    last_seen_at: Timestamp,
    expires_at: Timestamp,
    idle_expires_at: Timestamp,
    remember_me: bool,
    ip: Option<IpAddr>,
    user_agent: Option<UserAgent>,
    device: Option<String>,
    current: bool,
}

impl SessionBody {
    /// `current`: the session that asks.
    pub(super) fn new(session: &Session, current: SessionId) -> Self {
        Self {
            id: session.id,
            user_id: session.user_id,
            issued_at: session.issued_at,
            authenticated_at: session.authenticated_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            idle_expires_at: session.idle_expires_at(),
            remember_me: session.remember_me,
            ip: session.client.address,
            user_agent: session.client.user_agent.clone(),
            device: session.client.user_agent.as_ref().map(UserAgent::device),
            current: session.id == current,
        }
    }
}

/// Who somebody is, and by which session.
#[derive(Serialize)]
pub(super) struct IdentityBody<'a> {
    user: &'a User,
    session: SessionBody,
}

impl<'a> From<&'a Record> for IdentityBody<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            user: &record.user,
            session: SessionBody::new(&record.session, record.session.id),
        }
    }
}

#[derive(Serialize)]
pub(super) struct UserBody<'a> {
    pub(super) user: &'a User,
}

#[derive(Serialize)]
pub(super) struct SessionsBody {
    pub(super) sessions: Vec<SessionBody>,
}

#[derive(Serialize)]
pub(super) struct RevokedBody {
    pub(super) revoked: usize,
}
