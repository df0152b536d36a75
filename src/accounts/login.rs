//! Logging in.

use std::sync::Arc;

use futures_util::future::OptionFuture;

use super::events::NoLogin;
use super::{Accounts, Error};
use crate::domain::audit::Actor;
use crate::domain::client::Client;
use crate::domain::digest::TokenDigest;
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::domain::user::Status;
use crate::sessions::Issued;
use crate::store::Unavailable;

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
        let hash = found.as_ref().and_then(|found| found.password_hash.clone());
        let is_right = self.hasher.verify(password, hash).await?;
        let source = client.source;
        let verified = found.ok_or(NoLogin::UnknownAccount).and_then(|found| {
            if !is_right {
                Err(NoLogin::WrongPassword(found.user.id))
            } else if found.user.status == Status::Locked {
                Err(NoLogin::Locked(found.user.id))
            } else {
                Ok(found)
            }
        });
        let credentials = match verified {
            Ok(credentials) => credentials,
            Err(why) => return Err(self.no_login(why, source).await),
        };

        let act = self.sessions.act(Actor::Stranger, source);
        let (token, draft) = self.sessions.draft(client, remember_me);
        let max_per_user = self.sessions.policy().max_per_user;
        let (ledger, sessions) = (self.ledger.clone(), Arc::clone(&self.sessions));
        let user = credentials.user.id;
        let issued = self
            .sessions
            .uncut(async move {
                let presented = presented.map(|digest| sessions.opened(digest));
                let presented = OptionFuture::from(presented).await;
                let issue = ledger
                    .issue_session(
                        user,
                        credentials.version,
                        &draft,
                        presented,
                        max_per_user,
                        act,
                    )
                    .await?;
                let issued = issue.map(|issue| sessions.issued(token, issue));
                Ok::<_, Unavailable>(OptionFuture::from(issued).await)
            })
            .await?;
        match issued {
            Some(issued) => Ok(issued),
            None => Err(self
                .no_login(NoLogin::CredentialChanged(user), source)
                .await),
        }
    }
}
