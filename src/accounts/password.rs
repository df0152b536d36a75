//! Changing the password.

use std::sync::Arc;

use super::{Accounts, Error};
use crate::domain::client::Client;
use crate::domain::password::{NewPassword, Password};
use crate::domain::session::Record;
use crate::sessions::Issued;
use crate::store::ledger::Issue;

impl Accounts {
    /// Sets a new password, ends all the user's sessions, and issues a new one
    /// to the browser that asked (ASVS 7.4.3, 7.2.4).
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::SessionEnded`], [`Error::Busy`] or
    /// [`Error::Unavailable`].
    pub async fn change_password(
        &self,
        by: &Record,
        current: Password,
        new: NewPassword,
        client: Client,
    ) -> Result<Issued, Error> {
        let user = by.user.clone();
        let verified = self.reauthenticate(user.id, current).await?;
        let hash = self.hasher.hash(new).await?;
        let act = self.sessions.act(Some(user.id), client.address);
        let (token, draft) = self.sessions.draft(client, by.session.remember_me);
        let (ledger, sessions) = (self.ledger.clone(), Arc::clone(&self.sessions));
        self.sessions
            .uncut(async move {
                let issue = ledger
                    .change_password(user.id, verified, &hash, &draft, act)
                    .await?;
                match issue {
                    Issue::Issued(session, committed) => {
                        Ok(sessions.issued(token, session, user, committed).await)
                    }
                    Issue::Outdated => Err(Error::WrongPassword),
                }
            })
            .await
    }
}
