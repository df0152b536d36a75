//! What is done with accounts: register, log in, change the password, the name
//! or the e-mail address, delete; and what admins do with those of others.
//! Decides who somebody is; that they are logged in is for `sessions` to say.
//!
//! Knows nothing of HTTP.

mod events;
mod exchange;
mod hasher;
mod import;
mod links;
mod login;
mod password;
mod profile;
mod register;
mod throttle;
mod users;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::attempt::{Limits, Outcome, UNDER_WAY};
use crate::domain::audit::{Action, Actor, Source};
use crate::domain::device::DeviceClaim;
use crate::domain::exchange::ForeignIssuer;
use crate::domain::link::InvalidLink;
use crate::domain::password::Password;
use crate::domain::session::Record;
use crate::domain::user::{CredentialVersion, Credentials, Status};
use crate::sessions::Sessions;
use crate::store::Unavailable;
use crate::store::ledger::{Ledger, Refusal};
use crate::telemetry::metrics::Reading;
use events::Refusals;

pub use exchange::Exchange;
pub use hasher::{Busy, Hasher, time_of_one_hash};
pub use import::{Imported, ImportedUser};
pub use links::{Earlier, FirstAdmin, IssuedLink, SetUp};
pub use login::LogIn;
pub use register::Register;
pub use throttle::Attempts;
pub use users::{Created, NewAccount};

use hasher::Verified;
use throttle::{Attempt, Throttle};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such user, another password, a locked account: nobody may tell which.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// A JWT of another system that is wrong, late, used up, or nobody's: nobody may tell
    /// which.
    #[error("the token is not taken")]
    InvalidToken,
    /// The current password, asked for again, is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    #[error("the e-mail address is taken")]
    EmailTaken,
    #[error("registration is closed")]
    RegistrationClosed,
    /// The session ended while the request was under way.
    #[error("the session has ended")]
    SessionEnded,
    /// What was verified was changed while the request was under way: ask again.
    #[error("the credential has changed")]
    CredentialChanged,
    #[error("there is no such user")]
    NotFound,
    /// Nobody else could administer.
    #[error("this is the last admin")]
    LastAdmin,
    #[error(transparent)]
    InvalidLink(#[from] InvalidLink),
    /// Whether it would be the right one is not looked at.
    #[error("too many wrong passwords")]
    TooManyAttempts { retry_after: Duration },
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

pub struct Accounts {
    ledger: Ledger,
    sessions: Arc<Sessions>,
    hasher: Arc<Hasher>,
    throttle: Throttle,
    refusals: Refusals,
    registration_is_open: bool,
    foreign_issuer: Option<ForeignIssuer>,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::SessionEnded => Self::SessionEnded,
            Refusal::CredentialChanged => Self::CredentialChanged,
            Refusal::NotFound => Self::NotFound,
            Refusal::LastAdmin => Self::LastAdmin,
        }
    }
}

impl Accounts {
    #[must_use]
    pub fn new(
        ledger: Ledger,
        sessions: Arc<Sessions>,
        hasher: Hasher,
        limits: Limits,
        registration_is_open: bool,
        foreign_issuer: Option<ForeignIssuer>,
    ) -> Self {
        Self {
            ledger,
            sessions,
            hasher: Arc::new(hasher),
            throttle: Throttle::new(limits),
            refusals: Refusals::default(),
            registration_is_open,
            foreign_issuer,
        }
    }

    /// How full the hashing queue is.
    #[must_use]
    pub fn readings(&self) -> [Reading; 2] {
        self.hasher.readings()
    }

    /// Asks a user who is logged in for the password again. What follows must
    /// hold only if the version given is still the current one.
    async fn reauthenticate(
        self: &Arc<Self>,
        by: &Record,
        password: Password,
        device: Option<DeviceClaim>,
        source: Source,
    ) -> Result<CredentialVersion, Error> {
        let (user, session) = (by.session.user_id, by.session.id);
        let act = self.sessions.act(Actor::User(user), source);
        let credentials = self
            .ledger
            .credentials_of(user)
            .await?
            .filter(|credentials| credentials.user.status == Status::Active)
            .ok_or(Error::SessionEnded)?;
        let email = &credentials.user.email;
        let attempt = self
            .reserve_attempt(email, Some((user, credentials.version)), device, act)
            .await?;
        let accounts = Arc::clone(self);
        self.sessions
            .uncut(async move {
                let verified = accounts.verify(&attempt, password, Some(&credentials));
                if verified.await?.is_right() {
                    accounts.settle_attempt(&attempt, Outcome::Right).await?;
                    return Ok(credentials.version);
                }
                let event = act.did(Action::PasswordCheckFailed, user, Some(session));
                accounts.fail_attempt(&attempt, event).await?;
                Err(Error::WrongPassword)
            })
            .await
    }

    /// Looks at the password of an attempt that was reserved.
    async fn verify(
        &self,
        attempt: &Attempt,
        password: Password,
        credentials: Option<&Credentials>,
    ) -> Result<Verified, Error> {
        let verified = self.hasher.verify(password, credentials).await;
        // Given up for lost, and its place maybe another's by now: what came of it is told to
        // nobody.
        if self.sessions.clock().now().since(attempt.reserved_at) >= UNDER_WAY {
            return Err(Busy.into());
        }
        if verified.is_err() {
            self.settle_attempt(attempt, Outcome::Untried).await?;
        }
        Ok(verified?)
    }
}
