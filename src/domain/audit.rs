//! Who did what, written in the transaction of what it tells (ASVS 16.2.1).

use std::net::IpAddr;

use crate::domain::id::{SessionId, UserId};
use crate::domain::time::Timestamp;

/// The circumstances of one act.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    pub at: Timestamp,
    /// The user who acts; `None` for somebody not known yet.
    pub actor: Option<UserId>,
    pub address: Option<IpAddr>,
}

impl Act {
    /// The same act, now that it is known who acts.
    #[must_use]
    pub const fn by(self, actor: UserId) -> Self {
        Self {
            actor: Some(actor),
            ..self
        }
    }

    /// What the act did, to whom, and to or by which session.
    #[must_use]
    pub const fn did(self, action: Action, subject: UserId, session: Option<SessionId>) -> Event {
        Event {
            act: self,
            action,
            subject,
            session,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Registered,
    LoggedIn,
    LoggedOut,
    SessionRevoked,
    OtherSessionsRevoked,
    AllSessionsRevoked,
    PasswordChanged,
    EmailChanged,
    NameChanged,
    AccountDeleted,
}

impl Action {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::LoggedIn => "logged_in",
            Self::LoggedOut => "logged_out",
            Self::SessionRevoked => "session_revoked",
            Self::OtherSessionsRevoked => "other_sessions_revoked",
            Self::AllSessionsRevoked => "all_sessions_revoked",
            Self::PasswordChanged => "password_changed",
            Self::EmailChanged => "email_changed",
            Self::NameChanged => "name_changed",
            Self::AccountDeleted => "account_deleted",
        }
    }
}

/// One row of the audit log: an act, and whom and which session it concerned.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub act: Act,
    pub action: Action,
    pub subject: UserId,
    pub session: Option<SessionId>,
}
