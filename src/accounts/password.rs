//! Changing the password.

use std::sync::Arc;

use super::{Accounts, Error};
use crate::domain::audit::Actor;
use crate::domain::client::Client;
use crate::domain::device::DeviceClaim;
use crate::domain::password::{NewPassword, Password};
use crate::domain::session::Record;
use crate::sessions::Issued;
use crate::telemetry::traces::STEPS;

impl Accounts {
    /// Sets a new password, ends all the user's sessions, and issues a new one
    /// to the browser that asked (ASVS 7.4.3, 7.2.4).
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::TooManyAttempts`], [`Error::SessionEnded`],
    /// [`Error::CredentialChanged`], [`Error::Busy`] or [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn change_password(
        self: &Arc<Self>,
        by: &Record,
        current: Password,
        new: NewPassword,
        client: Client,
        device: Option<DeviceClaim>,
    ) -> Result<Issued, Error> {
        let (user, session) = (by.session.user_id, by.session.id);
        let source = client.source;
        let verified = self.reauthenticate(by, current, device, source).await?;
        let hash = self.hasher.hash(new).await?;
        let act = self.sessions.act(Actor::User(user), source);
        let (token, draft) = self.sessions.draft(client, by.session.remember_me);
        let (ledger, sessions) = (self.ledger.clone(), Arc::clone(&self.sessions));
        self.sessions
            .uncut(async move {
                let issue = ledger
                    .change_password(user, session, verified, &hash, &draft, act)
                    .await?;
                Ok(sessions.issued(token, issue?).await)
            })
            .await
    }
}
