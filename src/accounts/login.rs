//! Logging in.

use std::sync::Arc;

use futures_util::future::OptionFuture;

use super::hasher::Verified;
use super::{Accounts, Error};
use crate::domain::audit::Actor;
use crate::domain::client::Client;
use crate::domain::digest::TokenDigest;
use crate::domain::email::Email;
use crate::domain::id::UserId;
use crate::domain::password::Password;
use crate::domain::user::{CredentialVersion, Status};
use crate::sessions::Issued;

pub struct LogIn {
    pub email: Email,
    pub password: Password,
    pub remember_me: bool,
    pub client: Client,
    /// The session this browser had before; it ends.
    pub presented: Option<TokenDigest>,
}

impl Accounts {
    /// Issues a session to whom e-mail address and password belong. An unknown
    /// address costs the same work as a wrong password (ASVS 6.3.8).
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`], [`Error::Busy`] or [`Error::Unavailable`].
    pub async fn log_in(&self, request: LogIn) -> Result<Issued, Error> {
        let LogIn {
            email,
            password,
            remember_me,
            client,
            presented,
        } = request;
        let found = self.ledger.find_credentials(&email).await?;
        let verified = self.hasher.verify(password, found.as_ref()).await?;
        let credentials = found
            .filter(|found| verified.is_right() && found.user.status == Status::Active)
            .ok_or(Error::InvalidCredentials)?;
        let (user, version) = (credentials.user.id, credentials.version);

        let act = self.sessions.act(Actor::Stranger, client.address);
        let (token, draft) = self.sessions.draft(client, remember_me);
        let max_per_user = self.sessions.policy().max_per_user;
        let (ledger, sessions) = (self.ledger.clone(), Arc::clone(&self.sessions));
        let issued = self
            .sessions
            .uncut(async move {
                let presented = presented.map(|digest| sessions.opened(digest));
                let presented = OptionFuture::from(presented).await;
                let issue = ledger
                    .issue_session(user, version, &draft, presented, max_per_user, act)
                    .await?;
                let issue = issue.ok_or(Error::InvalidCredentials)?;
                Ok::<_, Error>(sessions.issued(token, issue).await)
            })
            .await?;
        if let Verified::Outdated(password) = verified {
            self.renew_hash(user, version, password);
        }
        Ok(issued)
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
}
