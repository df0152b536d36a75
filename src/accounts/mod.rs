//! What is done with accounts: register, log in, change the password, the name
//! or the e-mail address, delete; and what admins do with those of others.
//! Decides who somebody is; that they are logged in is for `sessions` to say.
//!
//! Knows nothing of HTTP.

mod events;
mod hasher;
mod links;
mod login;
mod password;
mod profile;
mod register;
mod users;

use std::sync::Arc;

use crate::domain::id::UserId;
use crate::domain::link::InvalidLink;
use crate::domain::password::Password;
use crate::domain::user::{CredentialVersion, Status};
use crate::sessions::Sessions;
use crate::store::Unavailable;
use crate::store::ledger::{Ledger, Refusal};

pub use hasher::{Busy, Hasher, time_of_one_hash};
pub use links::{Earlier, FirstAdmin, IssuedLink, SetUp};
pub use login::LogIn;
pub use register::Register;
pub use users::{Created, NewAccount};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such user, another password, a locked account: nobody may tell which.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
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
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

pub struct Accounts {
    ledger: Ledger,
    sessions: Arc<Sessions>,
    hasher: Arc<Hasher>,
    registration_is_open: bool,
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
        registration_is_open: bool,
    ) -> Self {
        Self {
            ledger,
            sessions,
            hasher: Arc::new(hasher),
            registration_is_open,
        }
    }

    /// Asks a user who is logged in for the password again. What follows must
    /// hold only if the version given is still the current one.
    async fn reauthenticate(
        &self,
        user: UserId,
        password: Password,
    ) -> Result<CredentialVersion, Error> {
        let credentials = self
            .ledger
            .credentials_of(user)
            .await?
            .filter(|credentials| credentials.user.status == Status::Active)
            .ok_or(Error::SessionEnded)?;
        let verified = self.hasher.verify(password, Some(&credentials)).await?;
        if verified.is_right() {
            Ok(credentials.version)
        } else {
            Err(Error::WrongPassword)
        }
    }
}
