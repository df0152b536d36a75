//! Registering: a new user, logged in at once.

use std::sync::Arc;

use super::{Accounts, Error, NewAccount};
use crate::domain::audit::Actor;
use crate::domain::client::Client;
use crate::domain::digest::TokenDigest;
use crate::domain::email::Email;
use crate::domain::password::NewPassword;
use crate::domain::user::{Role, UserName};
use crate::sessions::Issued;
use crate::store::ledger::NewUser;
use crate::telemetry::traces::STEPS;

pub struct Register {
    pub email: Email,
    pub name: UserName,
    pub password: NewPassword,
    pub client: Client,
    /// The session this browser had before; it ends.
    pub presented: Option<TokenDigest>,
}

impl Accounts {
    /// Whether anyone may register.
    #[must_use]
    pub const fn takes_registrations(&self) -> bool {
        self.registration_is_open
    }

    /// # Errors
    /// [`Error::RegistrationClosed`], [`Error::EmailTaken`], [`Error::Busy`] or
    /// [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn register(&self, request: Register) -> Result<Issued, Error> {
        if !self.registration_is_open {
            return Err(Error::RegistrationClosed);
        }
        let Register {
            email,
            name,
            password,
            client,
            presented,
        } = request;
        let password_hash = self.hasher.hash(password).await?;
        let act = self.sessions.act(Actor::Stranger, client.source);
        let account = NewAccount {
            email,
            name,
            role: Role::User,
        };
        let user = account.user(act);
        let (token, draft) = self.sessions.draft(client, false);
        let (ledger, sessions) = (self.ledger.clone(), Arc::clone(&self.sessions));
        self.sessions
            .uncut(async move {
                let presented = sessions.presented(presented).await;
                let new = NewUser {
                    user,
                    password_hash: Some(password_hash),
                };
                let issue = ledger.register(&new, &draft, presented, act).await?;
                let issue = issue.ok_or(Error::EmailTaken)?;
                Ok(sessions.issued(token, issue).await)
            })
            .await
    }
}
