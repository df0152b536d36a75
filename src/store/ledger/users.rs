//! Use cases of administration: finding, creating, locking and deleting users.
//! There is always an admin left who can log in.

use std::collections::HashSet;

use super::ending::Ending;
use super::links::NewLink;
use super::locks::{is_last_admin, lock_with_roster, refuse};
use super::statements::links::Bearer;
use super::{Committed, Ledger, NewUser, Refusal, statements};
use crate::domain::audit::{Act, Action};
use crate::domain::email::Email;
use crate::domain::id::UserId;
use crate::domain::page::{Page, PageOf};
use crate::domain::text::Fragment;
use crate::domain::user::{CredentialVersion, Role, Status, User};
use crate::store::Unavailable;

/// A user as a use case has left them, and what it has ended.
pub type Administered = Result<(User, Committed), Refusal>;

impl Ledger {
    /// Users, the newest first; with `search`, those in whose name or e-mail
    /// address it is found.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn list_users(
        &self,
        search: Option<&Fragment>,
        page: PageOf<UserId>,
    ) -> Result<Page<User, UserId>, Unavailable> {
        let rows = self.read(async |link| statements::lists::users(link, search, &page).await);
        let users = rows.await?.into_iter().map(User::from).collect();
        Ok(Page::cut(users, page.limit, |user: &User| user.id))
    }

    /// Those of the ids that there are users of, in any order.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn users_among(&self, ids: &[UserId]) -> Result<Vec<User>, Unavailable> {
        let rows = self.read(async |link| statements::lists::users_among(link, ids).await);
        Ok(rows.await?.into_iter().map(User::from).collect())
    }

    /// Creates a user, who is invited by the link if one is given. `false` if the
    /// e-mail address is taken.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn create_user(
        &self,
        new: &NewUser,
        invitation: Option<&NewLink>,
        act: Act,
    ) -> Result<bool, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            if statements::users::insert_user(tx.link(), new).await? == 0 {
                tx.abandon().await?;
                return Ok(false);
            }
            if let Some(link) = invitation {
                let bearer = Bearer::User(new.user.id, CredentialVersion::FIRST);
                link.insert(&mut tx, bearer).await?;
            }
            let event = act
                .did(Action::UserCreated, new.user.id, None)
                .with(new.user.role.as_str());
            statements::log::insert_event(tx.link(), &event).await?;
            tx.commit(&[]).await?;
            Ok(true)
        })
        .await
    }

    /// Creates users, all in one transaction, but those whose e-mail address is taken:
    /// how many.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have been
    /// done, and can be asked for again.
    pub async fn create_users(&self, new: &[NewUser], act: Act) -> Result<usize, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let created = statements::users::insert_users(tx.link(), new).await?;
            let created: HashSet<UserId> = created.into_iter().collect();
            let told = new.iter().filter(|new| created.contains(&new.user.id));
            let told = told.map(|NewUser { user, .. }| {
                let event = act.did(Action::UserCreated, user.id, None);
                event.with(format!("{}, imported", user.role.as_str()))
            });
            let events: Vec<_> = told.collect();
            statements::log::insert_events(tx.link(), &events).await?;
            tx.commit(&[]).await?;
            Ok(created.len())
        })
        .await
    }

    /// Those of the e-mail addresses that somebody has.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn taken_among(&self, emails: &[&Email]) -> Result<HashSet<Email>, Unavailable> {
        let taken = self.read(async |link| statements::users::emails_among(link, emails).await);
        Ok(taken.await?.into_iter().collect())
    }

    /// Locks an account and ends its sessions and its link, or unlocks it, which
    /// revives none.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn set_status(
        &self,
        user: UserId,
        status: Status,
        act: Act,
    ) -> Result<Administered, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let before = match lock_with_roster(&mut tx, user).await? {
                Ok(before) => before,
                Err(refusal) => return refuse(tx, refusal).await,
            };
            if status == Status::Locked && is_last_admin(&mut tx, &before).await? {
                return refuse(tx, Refusal::LastAdmin).await;
            }
            // One may have been issued to who is locked already.
            if status == Status::Locked {
                statements::links::delete_link_of(tx.link(), user).await?;
            }
            if before.user.status == status {
                tx.commit(&[]).await?;
                return Ok(Ok((before.user, Committed::default())));
            }
            statements::users::set_status(tx.link(), user, status).await?;
            let mut ending = Ending::default();
            let action = match status {
                Status::Active => Action::UserUnlocked,
                Status::Locked => {
                    ending.all_but(&mut tx, user, None, act.at).await?;
                    Action::UserLocked
                }
            };
            ending.copies_of(user);
            let event = act.did(action, user, None);
            statements::log::insert_event(tx.link(), &event).await?;
            let after = User {
                status,
                ..before.user
            };
            Ok(Ok((after, ending.commit(tx).await?)))
        })
        .await
    }

    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn set_role(
        &self,
        user: UserId,
        role: Role,
        act: Act,
    ) -> Result<Administered, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let before = match lock_with_roster(&mut tx, user).await? {
                Ok(before) => before,
                Err(refusal) => return refuse(tx, refusal).await,
            };
            if before.user.role == role {
                tx.abandon().await?;
                return Ok(Ok((before.user, Committed::default())));
            }
            if role != Role::Admin && is_last_admin(&mut tx, &before).await? {
                return refuse(tx, Refusal::LastAdmin).await;
            }
            statements::users::set_role(tx.link(), user, role).await?;
            let mut ending = Ending::default();
            ending.copies_of(user);
            let event = act.did(Action::RoleChanged, user, None).with(role.as_str());
            statements::log::insert_event(tx.link(), &event).await?;
            let after = User {
                role,
                ..before.user
            };
            Ok(Ok((after, ending.commit(tx).await?)))
        })
        .await
    }

    /// Deletes a user and their link, and ends their sessions, whose rows are left
    /// to the reaper.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn delete_user(&self, user: UserId, act: Act) -> Result<Administered, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let before = match lock_with_roster(&mut tx, user).await? {
                Ok(before) => before,
                Err(refusal) => return refuse(tx, refusal).await,
            };
            if is_last_admin(&mut tx, &before).await? {
                return refuse(tx, Refusal::LastAdmin).await;
            }
            let mut ending = Ending::default();
            ending.all_but(&mut tx, user, None, act.at).await?;
            statements::users::delete_user(tx.link(), user).await?;
            let event = act.did(Action::UserDeleted, user, None);
            statements::log::insert_event(tx.link(), &event).await?;
            Ok(Ok((before.user, ending.commit(tx).await?)))
        })
        .await
    }
}
