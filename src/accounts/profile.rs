//! Changing the name or the e-mail address, and deleting the account.

use std::sync::Arc;

use super::{Accounts, Error};
use crate::domain::audit::{Actor, Source};
use crate::domain::device::DeviceClaim;
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::domain::session::Record;
use crate::domain::user::{User, UserName};
use crate::store::ledger::ChangedEmail;
use crate::telemetry::traces::STEPS;

impl Accounts {
    /// # Errors
    /// [`Error::SessionEnded`] or [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn change_name(
        &self,
        by: &Record,
        name: UserName,
        source: Source,
    ) -> Result<User, Error> {
        let (user, session) = (by.session.user_id, by.session.id);
        let (ledger, sessions) = (self.ledger.clone(), Arc::clone(&self.sessions));
        self.sessions
            .uncut(async move {
                let act = sessions.act(Actor::User(user), source);
                let changed = ledger.change_name(user, session, &name, act).await?;
                let (user, committed) = changed.ok_or(Error::SessionEnded)?;
                sessions.publish(committed).await;
                Ok(user)
            })
            .await
    }

    /// Sets what the user logs in with, and ends the user's other sessions.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::TooManyAttempts`], [`Error::EmailTaken`],
    /// [`Error::SessionEnded`], [`Error::CredentialChanged`], [`Error::Busy`] or
    /// [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn change_email(
        self: &Arc<Self>,
        by: &Record,
        email: Email,
        password: Password,
        device: Option<DeviceClaim>,
        source: Source,
    ) -> Result<User, Error> {
        let (user, session) = (by.session.user_id, by.session.id);
        let verified = self.reauthenticate(by, password, device, source).await?;
        let (ledger, sessions) = (self.ledger.clone(), Arc::clone(&self.sessions));
        self.sessions
            .uncut(async move {
                let act = sessions.act(Actor::User(user), source);
                match ledger
                    .change_email(user, session, verified, &email, act)
                    .await?
                {
                    ChangedEmail::Changed(user, committed) => {
                        sessions.publish(committed).await;
                        Ok(user)
                    }
                    ChangedEmail::EmailTaken => Err(Error::EmailTaken),
                    ChangedEmail::Refused(refusal) => Err(refusal.into()),
                }
            })
            .await
    }

    /// Deletes the account and ends all its sessions.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::TooManyAttempts`], [`Error::SessionEnded`],
    /// [`Error::CredentialChanged`], [`Error::Busy`] or [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn delete_account(
        self: &Arc<Self>,
        by: &Record,
        password: Password,
        device: Option<DeviceClaim>,
        source: Source,
    ) -> Result<(), Error> {
        let (user, session) = (by.session.user_id, by.session.id);
        let verified = self.reauthenticate(by, password, device, source).await?;
        let (ledger, sessions) = (self.ledger.clone(), Arc::clone(&self.sessions));
        self.sessions
            .uncut(async move {
                let act = sessions.act(Actor::User(user), source);
                let deleted = ledger.delete_account(user, session, verified, act).await?;
                sessions.publish(deleted?).await;
                Ok(())
            })
            .await
    }
}
