//! Use cases that concern a user: finding, changing and deleting one.

use super::connection::Transaction;
use super::ending::Ending;
use super::{Committed, Ledger, bounded, statements};
use crate::domain::audit::{Act, Action};
use crate::domain::email::Email;
use crate::domain::id::{SessionId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::user::{CredentialVersion, Credentials, Status, User, UserName};
use crate::store::Unavailable;

#[derive(Debug)]
#[must_use]
pub enum ChangedEmail {
    Changed(User, Committed),
    EmailTaken,
    /// The credential that was verified is no longer the user's, or the session
    /// that asked has ended.
    Outdated,
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
        let row = bounded(async {
            let mut connection = self.reader().await?;
            statements::credentials_by_email(connection.link(), email).await
        });
        Ok(row.await?.map(Into::into))
    }

    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn credentials_of(&self, user: UserId) -> Result<Option<Credentials>, Unavailable> {
        let row = bounded(async {
            let mut connection = self.reader().await?;
            statements::credentials_by_id(connection.link(), user).await
        });
        Ok(row.await?.map(Into::into))
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
        bounded(async {
            let begun = self.begin_verified_by(user, by, verified, act.at).await?;
            let Some((mut tx, before)) = begun else {
                return Ok(ChangedEmail::Outdated);
            };
            match statements::set_email(tx.link(), user, email).await {
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                    tx.abandon().await?;
                    return Ok(ChangedEmail::EmailTaken);
                }
                changed => changed?,
            };
            let mut ending = Ending::default();
            ending.all_but(&mut tx, user, Some(by)).await?;
            ending.copies_of(user);
            let event = act.did(Action::EmailChanged, user, Some(by));
            statements::insert_event(tx.link(), &event).await?;
            let after = User {
                email: email.clone(),
                ..before
            };
            Ok(ChangedEmail::Changed(after, ending.commit(tx).await?))
        })
        .await
    }

    /// `None` if there is no such user.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn change_name(
        &self,
        user: UserId,
        name: &UserName,
        act: Act,
    ) -> Result<Option<(User, Committed)>, Unavailable> {
        bounded(async {
            let mut tx = self.begin().await?;
            let Some(before) = statements::lock_user(tx.link(), user).await? else {
                tx.abandon().await?;
                return Ok(None);
            };
            statements::set_name(tx.link(), user, name).await?;
            let mut ending = Ending::default();
            ending.copies_of(user);
            let event = act.did(Action::NameChanged, user, None);
            statements::insert_event(tx.link(), &event).await?;
            let after = User {
                name: name.clone(),
                ..Credentials::from(before).user
            };
            Ok(Some((after, ending.commit(tx).await?)))
        })
        .await
    }

    /// Deletes a user and all that is theirs but the audit log. `None` if the
    /// credential that was verified is no longer the user's, or the session
    /// that asked has ended.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn delete_account(
        &self,
        user: UserId,
        by: SessionId,
        verified: CredentialVersion,
        act: Act,
    ) -> Result<Option<Committed>, Unavailable> {
        bounded(async {
            let begun = self.begin_verified_by(user, by, verified, act.at).await?;
            let Some((mut tx, _)) = begun else {
                return Ok(None);
            };
            let mut ending = Ending::default();
            ending.all_but(&mut tx, user, None).await?;
            statements::delete_user(tx.link(), user).await?;
            let event = act.did(Action::AccountDeleted, user, None);
            statements::insert_event(tx.link(), &event).await?;
            Ok(Some(ending.commit(tx).await?))
        })
        .await
    }

    /// Begins under the lock of an active user, if the credential that was
    /// verified is still theirs.
    pub(super) async fn begin_verified(
        &self,
        user: UserId,
        verified: CredentialVersion,
    ) -> Result<Option<(Transaction, User)>, sqlx::Error> {
        let mut tx = self.begin().await?;
        let locked = statements::lock_user(tx.link(), user).await?;
        let current = locked
            .map(Credentials::from)
            .filter(|current| current.version == verified && current.user.status == Status::Active);
        match current {
            Some(current) => Ok(Some((tx, current.user))),
            None => tx.abandon().await.map(|()| None),
        }
    }

    /// The same, if the session that asks is also still alive.
    pub(super) async fn begin_verified_by(
        &self,
        user: UserId,
        by: SessionId,
        verified: CredentialVersion,
        now: Timestamp,
    ) -> Result<Option<(Transaction, User)>, sqlx::Error> {
        let Some((mut tx, current)) = self.begin_verified(user, verified).await? else {
            return Ok(None);
        };
        if is_alive(&mut tx, user, by, now).await? {
            Ok(Some((tx, current)))
        } else {
            tx.abandon().await.map(|()| None)
        }
    }
}

/// Whether the session is still alive; asked under the user's lock.
pub(super) async fn is_alive(
    tx: &mut Transaction,
    user: UserId,
    session: SessionId,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let expires_at = statements::session_expiry(tx.link(), user, session).await?;
    Ok(expires_at.is_some_and(|expires_at| now < expires_at))
}
