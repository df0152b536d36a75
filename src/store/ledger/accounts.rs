//! Use cases that concern a user: finding, changing and deleting one.

use super::ending::Ending;
use super::locks::{is_last_admin, lock_active, lock_alive, lock_asking, lock_roster_of, refuse};
use super::{Committed, Ledger, Refusal, statements};
use crate::domain::audit::{Act, Action};
use crate::domain::email::Email;
use crate::domain::id::{SessionId, UserId};
use crate::domain::password::PasswordHash;
use crate::domain::user::{CredentialVersion, Credentials, User, UserName};
use crate::store::Unavailable;

#[derive(Debug)]
#[must_use]
pub enum ChangedEmail {
    Changed(User, Committed),
    EmailTaken,
    Refused(Refusal),
}

impl Ledger {
    /// What a log-in with this address is verified against.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn find_credentials(
        &self,
        email: &Email,
    ) -> Result<Option<Credentials>, Unavailable> {
        let row =
            self.read(async |link| statements::users::credentials_by_email(link, email).await);
        Ok(row.await?.map(Into::into))
    }

    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn credentials_of(&self, user: UserId) -> Result<Option<Credentials>, Unavailable> {
        let row = self.read(async |link| statements::users::credentials_by_id(link, user).await);
        Ok(row.await?.map(Into::into))
    }

    /// Stores another hash of the password that was verified. Changes nothing if that
    /// credential is no longer the user's; ends no session, for it is the same credential.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn renew_hash(
        &self,
        user: UserId,
        verified: CredentialVersion,
        hash: &PasswordHash,
    ) -> Result<(), Unavailable> {
        self.write(async |link| {
            statements::users::renew_hash(link, user, verified, hash).await?;
            Ok(())
        })
        .await
    }

    /// Sets a new e-mail address and ends the user's sessions but `by`, which
    /// asked for it.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn change_email(
        &self,
        user: UserId,
        by: SessionId,
        verified: CredentialVersion,
        email: &Email,
        act: Act,
    ) -> Result<ChangedEmail, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let before = match lock_asking(&mut tx, user, by, verified, act.at).await? {
                Ok(before) => before.user,
                Err(refusal) => {
                    tx.abandon().await?;
                    return Ok(ChangedEmail::Refused(refusal));
                }
            };
            match statements::users::set_email(tx.link(), user, email).await {
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                    tx.abandon().await?;
                    return Ok(ChangedEmail::EmailTaken);
                }
                changed => changed?,
            };
            let mut ending = Ending::default();
            ending.all_but(&mut tx, user, Some(by), act.at).await?;
            ending.copies_of(user);
            let event = act.did(Action::EmailChanged, user, Some(by));
            statements::log::insert_event(tx.link(), &event).await?;
            let after = User {
                email: email.clone(),
                ..before
            };
            Ok(ChangedEmail::Changed(after, ending.commit(tx).await?))
        })
        .await
    }

    /// `None` if the session that asks has ended, or its user is gone or locked.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn change_name(
        &self,
        user: UserId,
        by: SessionId,
        name: &UserName,
        act: Act,
    ) -> Result<Option<(User, Committed)>, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let current = lock_active(&mut tx, user).await?;
            let is_alive = lock_alive(&mut tx, user, by, act.at).await?;
            let Some(before) = current.filter(|_| is_alive) else {
                tx.abandon().await?;
                return Ok(None);
            };
            statements::users::set_name(tx.link(), user, name).await?;
            let mut ending = Ending::default();
            ending.copies_of(user);
            let event = act.did(Action::NameChanged, user, Some(by));
            statements::log::insert_event(tx.link(), &event).await?;
            let after = User {
                name: name.clone(),
                ..before.user
            };
            Ok(Some((after, ending.commit(tx).await?)))
        })
        .await
    }

    /// Deletes a user and ends their sessions, whose rows are left to the reaper.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn delete_account(
        &self,
        user: UserId,
        by: SessionId,
        verified: CredentialVersion,
        act: Act,
    ) -> Result<Result<Committed, Refusal>, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let roster = lock_roster_of(&mut tx, user).await?;
            let asking = lock_asking(&mut tx, user, by, verified, act.at).await?;
            let before = match asking.and_then(|before| roster.still_holds_for(before)) {
                Ok(before) => before,
                Err(refusal) => return refuse(tx, refusal).await,
            };
            if is_last_admin(&mut tx, &before).await? {
                return refuse(tx, Refusal::LastAdmin).await;
            }
            let mut ending = Ending::default();
            ending.all_but(&mut tx, user, None, act.at).await?;
            statements::users::delete_user(tx.link(), user).await?;
            let event = act.did(Action::AccountDeleted, user, None);
            statements::log::insert_event(tx.link(), &event).await?;
            Ok(Ok(ending.commit(tx).await?))
        })
        .await
    }
}
