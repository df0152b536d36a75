//! Use cases of links that set a password: the invitation, the reset, and the
//! setup of the first admin. Each works once.

use super::connection::Transaction;
use super::ending::Ending;
use super::locks::{lock_verified, refuse};
use super::statements::links::Bearer;
use super::{Committed, Ledger, NewUser, Refusal, statements};
use crate::domain::attempt::BudgetKey;
use crate::domain::audit::{Act, Action};
use crate::domain::id::UserId;
use crate::domain::link::LinkDigest;
use crate::domain::password::PasswordHash;
use crate::domain::time::Timestamp;
use crate::domain::user::{Credentials, User};
use crate::store::Unavailable;

/// A link to be: what its token is known by, and how long it lives.
#[derive(Clone, Copy, Debug)]
pub struct NewLink {
    pub digest: LinkDigest,
    pub expires_at: Timestamp,
}

impl NewLink {
    pub(super) async fn insert(
        &self,
        tx: &mut Transaction,
        bearer: Bearer,
    ) -> Result<u64, sqlx::Error> {
        statements::links::insert_link(tx.link(), &self.digest, bearer, self.expires_at).await
    }
}

/// What becomes of the setup links there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    Kept,
    Replaced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum FirstAdmin {
    Created,
    /// There is an admin already.
    Exists,
    EmailTaken,
}

impl Ledger {
    /// Makes a link for a user, in the place of any there was. `false` if there
    /// is no such user.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn issue_link(
        &self,
        user: UserId,
        link: &NewLink,
        act: Act,
    ) -> Result<bool, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let Some(locked) = statements::users::lock_user(tx.link(), user).await? else {
                tx.abandon().await?;
                return Ok(false);
            };
            let version = Credentials::from(locked).version;
            statements::links::delete_link_of(tx.link(), user).await?;
            link.insert(&mut tx, Bearer::User(user, version)).await?;
            let event = act.did(Action::PasswordLinkIssued, user, None);
            statements::log::insert_event(tx.link(), &event).await?;
            tx.commit(&[]).await?;
            Ok(true)
        })
        .await
    }

    /// Whether there is an admin who can log in.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn has_admin(&self) -> Result<bool, Unavailable> {
        self.read(async |link| statements::users::has_admin(link, None).await)
            .await
    }

    /// Makes a link by which the first admin is set up. `false` if there is an
    /// admin.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn issue_setup_link(
        &self,
        link: &NewLink,
        earlier: Earlier,
        act: Act,
    ) -> Result<bool, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            statements::users::lock_roster(tx.link()).await?;
            if statements::users::has_admin(tx.link(), None).await? {
                tx.abandon().await?;
                return Ok(false);
            }
            if earlier == Earlier::Replaced {
                statements::links::delete_setup_links(tx.link()).await?;
            }
            link.insert(&mut tx, Bearer::FirstAdmin).await?;
            let event = act.did_to_nobody(Action::SetupLinkIssued);
            statements::log::insert_event(tx.link(), &event).await?;
            tx.commit(&[]).await?;
            Ok(true)
        })
        .await
    }

    /// Whose password can be set by the link of that digest.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn find_link_holder(
        &self,
        digest: &LinkDigest,
        now: Timestamp,
    ) -> Result<Option<User>, Unavailable> {
        self.read(async |mut link| {
            let found = statements::links::find_link(link.reborrow(), digest, now);
            let Some(Bearer::User(user, _)) = found.await? else {
                return Ok(None);
            };
            let holder = statements::users::credentials_by_id(link, user).await?;
            Ok(holder.map(|holder| Credentials::from(holder).user))
        })
        .await
    }

    /// Whether the first admin can be set up by the link of that digest.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn is_setup_link(
        &self,
        digest: &LinkDigest,
        now: Timestamp,
    ) -> Result<bool, Unavailable> {
        self.read(async |mut link| {
            let found = statements::links::find_link(link.reborrow(), digest, now).await?;
            let is_one = found == Some(Bearer::FirstAdmin);
            Ok(is_one && !statements::users::has_admin(link, None).await?)
        })
        .await
    }

    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn delete_expired_links(&self, now: Timestamp) -> Result<(), Unavailable> {
        self.write(async |link| {
            statements::links::delete_expired_links(link, now).await?;
            Ok(())
        })
        .await
    }

    /// Sets the password of whom the link is for, and ends all their sessions.
    /// Refused if the link is used up, replaced or expired, or its user locked.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn redeem_link(
        &self,
        digest: &LinkDigest,
        hash: &PasswordHash,
        act: Act,
    ) -> Result<Result<Committed, Refusal>, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let found = statements::links::find_link(tx.link(), digest, act.at).await?;
            let Some(Bearer::User(user, version)) = found else {
                return refuse(tx, Refusal::NotFound).await;
            };
            let holder = lock_verified(&mut tx, user, version).await?;
            // Another may have been issued while this waited for the user's lock.
            let is_left = statements::links::delete_link(tx.link(), digest).await? > 0;
            let Some(holder) = holder.filter(|_| is_left) else {
                return refuse(tx, Refusal::NotFound).await;
            };
            statements::users::set_password(tx.link(), user, hash).await?;
            let guesses = BudgetKey::of_account(&holder.email);
            statements::attempts::clear(tx.link(), guesses).await?;
            let mut ending = Ending::default();
            ending.all_but(&mut tx, user, None, act.at).await?;
            let event = act.by(user).did(Action::PasswordReset, user, None);
            statements::log::insert_event(tx.link(), &event).await?;
            Ok(Ok(ending.commit(tx).await?))
        })
        .await
    }

    /// Creates the first admin for who has a setup link; all of these are used
    /// up then. [`FirstAdmin::Exists`] if the link cannot be used (any more).
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn set_up(
        &self,
        digest: &LinkDigest,
        new: &NewUser,
        act: Act,
    ) -> Result<FirstAdmin, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            statements::users::lock_roster(tx.link()).await?;
            let found = statements::links::find_link(tx.link(), digest, act.at).await?;
            if found != Some(Bearer::FirstAdmin) {
                tx.abandon().await?;
                return Ok(FirstAdmin::Exists);
            }
            create_first_admin(tx, new, act).await
        })
        .await
    }

    /// Creates the first admin, unless there is one.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn create_first_admin(
        &self,
        new: &NewUser,
        act: Act,
    ) -> Result<FirstAdmin, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            statements::users::lock_roster(tx.link()).await?;
            create_first_admin(tx, new, act).await
        })
        .await
    }
}

/// Under the roster's lock.
async fn create_first_admin(
    mut tx: Transaction,
    new: &NewUser,
    act: Act,
) -> Result<FirstAdmin, sqlx::Error> {
    let refusal = if statements::users::has_admin(tx.link(), None).await? {
        Some(FirstAdmin::Exists)
    } else if statements::users::insert_user(tx.link(), new).await? == 0 {
        Some(FirstAdmin::EmailTaken)
    } else {
        None
    };
    if let Some(refusal) = refusal {
        tx.abandon().await?;
        return Ok(refusal);
    }
    statements::links::delete_setup_links(tx.link()).await?;
    let event = act.did(Action::SetUp, new.user.id, None);
    statements::log::insert_event(tx.link(), &event).await?;
    tx.commit(&[]).await?;
    Ok(FirstAdmin::Created)
}
