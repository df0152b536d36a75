//! Who did what, written in the transaction of what it tells (ASVS 16.2.1).

use std::net::IpAddr;

use crate::domain::id::{EventId, RequestId, SessionId, UserId};
use crate::domain::text::Line;
use crate::domain::time::Timestamp;

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    User(UserId),
    /// Somebody on the command line.
    Operator,
    /// Somebody not known yet.
    Stranger,
}

impl Actor {
    #[must_use]
    pub const fn user(self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Operator | Self::Stranger => None,
        }
    }
}

/// By what an act reaches us. Nothing is known of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    pub address: Option<IpAddr>,
    /// As the log names it.
    pub request: Option<RequestId>,
}

/// The circumstances of one act.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    pub at: Timestamp,
    pub actor: Actor,
    pub source: Source,
}

impl Act {
    /// The same act, now that it is known who acts.
    #[must_use]
    pub const fn by(self, actor: UserId) -> Self {
        Self {
            actor: Actor::User(actor),
            ..self
        }
    }

    /// What the act did, to whom, and to or by which session.
    #[must_use]
    pub fn did(self, action: Action, subject: UserId, session: Option<SessionId>) -> Event {
        Event {
            session,
            ..self.did_to(action, Some(subject))
        }
    }

    /// What the act did, to whom, if there is somebody.
    #[must_use]
    pub fn did_to(self, action: Action, subject: Option<UserId>) -> Event {
        Event {
            subject,
            ..self.did_to_nobody(action)
        }
    }

    /// What the act did that concerns nobody in particular.
    #[must_use]
    pub fn did_to_nobody(self, action: Action) -> Event {
        Event {
            act: self,
            action,
            subject: None,
            session: None,
            reason: None,
            detail: None,
        }
    }
}

/// What became of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
}

impl Outcome {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

macro_rules! actions {
    ($($action:ident = $name:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($action),*
        }

        impl Action {
            pub const ALL: &[Self] = &[$(Self::$action),*];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $name),*
                }
            }
        }
    };
}

actions! {
    Registered = "registered",
    LoggedIn = "logged_in",
    LoggedOut = "logged_out",
    JwtExchanged = "jwt_exchanged",
    SessionRevoked = "session_revoked",
    OtherSessionsRevoked = "other_sessions_revoked",
    AllSessionsRevoked = "all_sessions_revoked",
    MatchingSessionsRevoked = "matching_sessions_revoked",
    EveryoneRevoked = "everyone_revoked",
    PasswordChanged = "password_changed",
    PasswordLinkIssued = "password_link_issued",
    PasswordReset = "password_reset",
    EmailChanged = "email_changed",
    NameChanged = "name_changed",
    AccountDeleted = "account_deleted",
    UserCreated = "user_created",
    UserLocked = "user_locked",
    UserUnlocked = "user_unlocked",
    RoleChanged = "role_changed",
    UserDeleted = "user_deleted",
    SetupLinkIssued = "setup_link_issued",
    SetUp = "set_up",
    AttemptsCleared = "attempts_cleared",
    LoginFailed = "login_failed",
    ExchangeFailed = "exchange_failed",
    PasswordCheckFailed = "password_check_failed",
    Throttled = "throttled",
    AccessDenied = "access_denied",
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an action such as logged_in; the documentation lists all")]
pub struct UnknownAction;

impl Action {
    /// # Errors
    /// If there is no action of that name.
    pub fn parse(name: &str) -> Result<Self, UnknownAction> {
        let known = Self::ALL.iter().find(|action| action.as_str() == name);
        known.copied().ok_or(UnknownAction)
    }

    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::LoginFailed
            | Self::ExchangeFailed
            | Self::PasswordCheckFailed
            | Self::Throttled
            | Self::AccessDenied => Outcome::Failure,
            Self::Registered
            | Self::LoggedIn
            | Self::LoggedOut
            | Self::JwtExchanged
            | Self::SessionRevoked
            | Self::OtherSessionsRevoked
            | Self::AllSessionsRevoked
            | Self::MatchingSessionsRevoked
            | Self::EveryoneRevoked
            | Self::PasswordChanged
            | Self::PasswordLinkIssued
            | Self::PasswordReset
            | Self::EmailChanged
            | Self::NameChanged
            | Self::AccountDeleted
            | Self::UserCreated
            | Self::UserLocked
            | Self::UserUnlocked
            | Self::RoleChanged
            | Self::UserDeleted
            | Self::SetupLinkIssued
            | Self::SetUp
            | Self::AttemptsCleared => Outcome::Success,
        }
    }
}

/// What becomes one row of the audit log: an act, and whom and which session it
/// concerned.
#[derive(Clone, Debug)]
pub struct Event {
    pub act: Act,
    pub action: Action,
    pub subject: Option<UserId>,
    pub session: Option<SessionId>,
    /// As who acted gave it.
    pub reason: Option<Line>,
    /// What more there is to say.
    pub detail: Option<String>,
}

impl Event {
    #[must_use]
    pub fn because(self, reason: Option<Line>) -> Self {
        Self { reason, ..self }
    }

    #[must_use]
    pub fn with(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }
}

/// One row of the audit log, as it was written, maybe by a later version.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub id: EventId,
    pub at: Timestamp,
    pub action: String,
    pub outcome: Outcome,
    pub actor: Actor,
    pub subject: Option<UserId>,
    pub session: Option<SessionId>,
    pub source: Source,
    pub reason: Option<String>,
    pub detail: Option<String>,
}

/// Which rows of the audit log are asked for: those that all that is given holds for.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventFilter {
    pub actor: Option<Actor>,
    pub subject: Option<UserId>,
    pub action: Option<Action>,
    /// From then on.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
}
