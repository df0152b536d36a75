//! Logging in.

use std::sync::Arc;

use futures_util::future::OptionFuture;

use super::{Accounts, Error};
use crate::domain::audit::{Act, Action, Actor};
use crate::domain::client::Client;
use crate::domain::device::DeviceClaim;
use crate::domain::digest::TokenDigest;
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::domain::user::Status;
use crate::sessions::Issued;
use crate::store::Unavailable;
use crate::store::ledger::Verified;

pub struct LogIn {
    pub email: Email,
    pub password: Password,
    pub remember_me: bool,
    pub client: Client,
    /// As which the browser says the account knows it.
    pub device: Option<DeviceClaim>,
    /// The session this browser had before; it ends.
    pub presented: Option<TokenDigest>,
}

/// Why nobody was logged in. To the client all are one; who reads the audit log is told.
#[derive(Clone, Copy)]
enum NoLogin {
    UnknownAccount,
    WrongPassword,
    Locked,
    /// Between the verification and the session something has changed.
    CredentialChanged,
}

impl NoLogin {
    const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownAccount => "unknown_account",
            Self::WrongPassword => "wrong_password",
            Self::Locked => "locked",
            Self::CredentialChanged => "credential_changed",
        }
    }
}

impl Accounts {
    /// Issues a session to whom e-mail address and password belong. An unknown
    /// address costs the same work as a wrong password (ASVS 6.3.8).
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`], [`Error::TooManyAttempts`], [`Error::Busy`] or
    /// [`Error::Unavailable`].
    pub async fn log_in(self: &Arc<Self>, request: LogIn) -> Result<Issued, Error> {
        let LogIn {
            email,
            password,
            remember_me,
            client,
            device,
            presented,
        } = request;
        let act = self.sessions.act(Actor::Stranger, client.source);
        let found = self.ledger.find_credentials(&email).await?;
        let user = found.as_ref().map(|found| found.user.id);
        let attempt = self.reserve_attempt(&email, user, device, act).await?;
        let accounts = Arc::clone(self);
        self.sessions
            .uncut(async move {
                let hash = found.as_ref().and_then(|found| found.password_hash.clone());
                let is_right = accounts.is_right(&attempt, password, hash).await?;
                let why = match found {
                    None => NoLogin::UnknownAccount,
                    Some(_) if !is_right => NoLogin::WrongPassword,
                    Some(found) if found.user.status == Status::Locked => NoLogin::Locked,
                    Some(found) => {
                        let verified = Verified {
                            user: found.user.id,
                            version: found.version,
                            budgets: &attempt.budgets,
                        };
                        let issued = accounts
                            .issue(verified, client, remember_me, presented, act)
                            .await?;
                        match issued {
                            Some(issued) => return Ok(issued),
                            None => NoLogin::CredentialChanged,
                        }
                    }
                };
                let event = act.did_to(Action::LoginFailed, user).with(why.as_str());
                accounts.fail_attempt(&attempt, event).await?;
                Err(Error::InvalidCredentials)
            })
            .await
    }

    /// `None` if the credential is no longer the user's.
    async fn issue(
        &self,
        verified: Verified<'_>,
        client: Client,
        remember_me: bool,
        presented: Option<TokenDigest>,
        act: Act,
    ) -> Result<Option<Issued>, Unavailable> {
        let (token, draft) = self.sessions.draft(client, remember_me);
        let presented = presented.map(|digest| self.sessions.opened(digest));
        let presented = OptionFuture::from(presented).await;
        let max_per_user = self.sessions.policy().max_per_user;
        let issue = self
            .ledger
            .issue_session(verified, &draft, presented, max_per_user, act)
            .await?;
        let issued = issue.map(|issue| self.sessions.issued(token, issue));
        Ok(OptionFuture::from(issued).await)
    }
}
