//! Logging in.

use std::sync::Arc;

use futures_util::future::OptionFuture;

use super::hasher::Verified;
use super::{Accounts, Error};
use crate::domain::audit::{Act, Action, Actor};
use crate::domain::client::Client;
use crate::domain::device::DeviceClaim;
use crate::domain::digest::TokenDigest;
use crate::domain::email::Email;
use crate::domain::id::UserId;
use crate::domain::password::Password;
use crate::domain::user::{CredentialVersion, Status};
use crate::sessions::Issued;
use crate::store::Unavailable;
use crate::store::ledger::Proof;
use crate::telemetry::metrics::{LOGINS, LoginOutcome};
use crate::telemetry::traces::STEPS;

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

impl From<NoLogin> for LoginOutcome {
    fn from(why: NoLogin) -> Self {
        match why {
            NoLogin::UnknownAccount => Self::UnknownAccount,
            NoLogin::WrongPassword => Self::WrongPassword,
            NoLogin::Locked => Self::Locked,
            NoLogin::CredentialChanged => Self::CredentialChanged,
        }
    }
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
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn log_in(self: &Arc<Self>, request: LogIn) -> Result<Issued, Error> {
        let done = self.try_to_log_in(request).await;
        if let Some(outcome) = done.as_ref().err().and_then(undecided) {
            LOGINS.count(outcome);
        }
        done
    }

    /// Counts what it decides, even if the client is gone by then.
    async fn try_to_log_in(self: &Arc<Self>, request: LogIn) -> Result<Issued, Error> {
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
        let at = found.as_ref().map(|found| (found.user.id, found.version));
        let user = at.map(|(user, _)| user);
        let attempt = self.reserve_attempt(&email, at, device, act).await?;
        let accounts = Arc::clone(self);
        self.sessions
            .uncut(async move {
                let verified = accounts.verify(&attempt, password, found.as_ref()).await?;
                let why = match found {
                    None => NoLogin::UnknownAccount,
                    Some(_) if !verified.is_right() => NoLogin::WrongPassword,
                    Some(found) if found.user.status == Status::Locked => NoLogin::Locked,
                    Some(found) => {
                        let proof = Proof {
                            user: found.user.id,
                            version: found.version,
                            budgets: &attempt.budgets,
                        };
                        let issued = accounts
                            .issue(proof, client, remember_me, presented, act)
                            .await?;
                        if let Some(issued) = issued {
                            LOGINS.count(LoginOutcome::Success);
                            if let Verified::Outdated(password) = verified {
                                accounts.renew_hash(found.user.id, found.version, password);
                            }
                            return Ok(issued);
                        }
                        NoLogin::CredentialChanged
                    }
                };
                let event = act.did_to(Action::LoginFailed, user).with(why.as_str());
                accounts.fail_attempt(&attempt, event).await?;
                LOGINS.count(why.into());
                Err(Error::InvalidCredentials)
            })
            .await
    }

    /// Hashes a password that was right as it would be hashed now. It is the same credential
    /// as before, so no session ends. Nobody waits for it: the answer must not tell by its
    /// time what was stored. If it is not done now, it is at the next log-in.
    fn renew_hash(&self, user: UserId, verified: CredentialVersion, password: Password) {
        let (ledger, hasher) = (self.ledger.clone(), Arc::clone(&self.hasher));
        self.sessions.begin(async move {
            let Ok(hash) = hasher.hash_again(password).await else {
                return;
            };
            if let Err(error) = ledger.renew_hash(user, verified, &hash).await {
                let error = format!("{error:#}");
                tracing::warn!(%user, error, "the password hash is still the old one");
            }
        });
    }

    /// `None` if the credential is no longer the user's.
    async fn issue(
        &self,
        proof: Proof<'_>,
        client: Client,
        remember_me: bool,
        presented: Option<TokenDigest>,
        act: Act,
    ) -> Result<Option<Issued>, Unavailable> {
        let (token, draft) = self.sessions.draft(client, remember_me);
        let presented = self.sessions.presented(presented).await;
        let max_per_user = self.sessions.policy().max_per_user;
        let issue = self
            .ledger
            .issue_session(proof, &draft, presented, max_per_user, act)
            .await?;
        let issued = issue.map(|issue| self.sessions.issued(token, issue));
        Ok(OptionFuture::from(issued).await)
    }
}

/// Why it was not found out whether the credentials are right.
const fn undecided(error: &Error) -> Option<LoginOutcome> {
    match error {
        Error::TooManyAttempts { .. } => Some(LoginOutcome::Throttled),
        Error::Busy(_) => Some(LoginOutcome::Busy),
        Error::Unavailable(_) => Some(LoginOutcome::Unavailable),
        _ => None,
    }
}
