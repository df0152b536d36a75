//! Locks, each held until its transaction ends, and what is found under them.
//!
//! Lock order, in every transaction: the roster of admins, the user, the JWT that is
//! exchanged, then sessions, then counts of attempts, then the log's head, whose lock is
//! taken in the same round trip as the commit. A session that a browser presents with a
//! log-in may be another user's, whose lock is not taken for it.

use super::connection::Transaction;
use super::{Refusal, statements};
use crate::domain::exchange::Named;
use crate::domain::id::{SessionId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::user::{CredentialVersion, Credentials, Role, Status, User};

/// The user, locked until the transaction ends; and so is the roster, before them,
/// if they are an admin.
pub(super) async fn lock_with_roster(
    tx: &mut Transaction,
    user: UserId,
) -> Result<Result<Credentials, Refusal>, sqlx::Error> {
    let roster = lock_roster_of(tx, user).await?;
    let locked = statements::users::lock_user(tx.link(), user).await?;
    let found = locked.map(Credentials::from).ok_or(Refusal::NotFound);
    Ok(found.and_then(|credentials| roster.still_holds_for(credentials)))
}

/// The user, if active; locked until the transaction ends.
pub(super) async fn lock_active(
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

/// Whether the roster's lock was taken for a user: it is for an admin.
pub(super) enum Roster {
    Locked,
    Free,
}

impl Roster {
    /// Refuses who has become an admin before their own lock was taken.
    pub(super) fn still_holds_for(self, credentials: Credentials) -> Result<Credentials, Refusal> {
        match (self, credentials.user.role) {
            (Self::Free, Role::Admin) => Err(Refusal::CredentialChanged),
            (Self::Free, Role::User) | (Self::Locked, _) => Ok(credentials),
        }
    }
}

/// Locks the roster if the user is an admin. Before the user's lock.
pub(super) async fn lock_roster_of(
    tx: &mut Transaction,
    user: UserId,
) -> Result<Roster, sqlx::Error> {
    if !statements::users::is_admin(tx.link(), user).await? {
        return Ok(Roster::Free);
    }
    statements::users::lock_roster(tx.link()).await?;
    Ok(Roster::Locked)
}

/// Whether nobody could administer without this user. Under the roster's lock.
pub(super) async fn is_last_admin(
    tx: &mut Transaction,
    of: &Credentials,
) -> Result<bool, sqlx::Error> {
    Ok(of.can_administer() && !statements::users::has_admin(tx.link(), Some(of.user.id)).await?)
}

pub(super) async fn refuse<T, R>(tx: Transaction, refusal: R) -> Result<Result<T, R>, sqlx::Error> {
    tx.abandon().await?;
    Ok(Err(refusal))
}
