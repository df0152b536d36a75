//! Use cases that concern a user: finding, changing and deleting one.

use super::connection::Transaction;
use super::ending::Ending;
use super::users::{is_last_admin, lock_roster_of, refuse};
use super::{Committed, Ledger, Refusal, statements};
use crate::domain::audit::{Act, Action};
use crate::domain::email::Email;
use crate::domain::exchange::Named;
use crate::domain::id::{SessionId, UserId};
use crate::domain::password::PasswordHash;
use crate::domain::time::Timestamp;
use crate::domain::user::{CredentialVersion, Credentials, Status, User, UserName};
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

/// The user, if active; locked until the transaction ends.
async fn lock_active(
    tx: &mut Transaction,
    user: UserId,
) -> Result<Option<Credentials>, sqlx::Error> {
    let locked = statements::users::lock_user(tx.link(), user).await?;
    let credentials = locked.map(Credentials::from);
    Ok(credentials.filter(|credentials| credentials.user.status == Status::Active))
}

/// The user who is named; locked until the transaction ends.
pub(super) async fn lock_named(
    tx: &mut Transaction,
    named: &Named,
) -> Result<Option<Credentials>, sqlx::Error> {
    let id = match named {
        Named::Id(id) => Some(*id),
        Named::Email(email) => {
            let found = statements::users::credentials_by_email(tx.link(), email).await?;
            found.map(|found| Credentials::from(found).user.id)
        }
    };
    let Some(id) = id else {
        return Ok(None);
    };
    let locked = statements::users::lock_user(tx.link(), id).await?;
    let locked = locked.map(Credentials::from);
    // The address may have become another's before the lock was taken.
    Ok(locked.filter(|credentials| named.is(&credentials.user)))
}

/// The user, if active and the credential that was verified is still theirs;
/// locked until the transaction ends.
pub(super) async fn lock_verified(
    tx: &mut Transaction,
    user: UserId,
    verified: CredentialVersion,
) -> Result<Option<User>, sqlx::Error> {
    let active = lock_active(tx, user).await?;
    let verified = active.filter(|credentials| credentials.version == verified);
    Ok(verified.map(|credentials| credentials.user))
}

/// The user, if the session that asks is alive and the credential that was
/// verified is still theirs; all locked until the transaction ends.
pub(super) async fn lock_asking(
    tx: &mut Transaction,
    user: UserId,
    by: SessionId,
    verified: CredentialVersion,
    now: Timestamp,
) -> Result<Result<Credentials, Refusal>, sqlx::Error> {
    let active = lock_active(tx, user).await?;
    let is_alive = lock_alive(tx, user, by, now).await?;
    Ok(match active {
        Some(current) if is_alive && current.version == verified => Ok(current),
        Some(_) if is_alive => Err(Refusal::CredentialChanged),
        Some(_) | None => Err(Refusal::SessionEnded),
    })
}

/// Whether the session is alive; it stays so until the transaction ends.
pub(super) async fn lock_alive(
    tx: &mut Transaction,
    user: UserId,
    session: SessionId,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let expires_at = statements::sessions::lock_session(tx.link(), user, session).await?;
    Ok(expires_at.is_some_and(|expires_at| now < expires_at))
}
