//! What admins, and operators on the command line, do with users.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::links::IssuedLink;
use super::{Accounts, Error};
use crate::domain::audit::Act;
use crate::domain::email::Email;
use crate::domain::id::UserId;
use crate::domain::page::{Page, PageOf};
use crate::domain::password::{NewPassword, PasswordHash};
use crate::domain::text::Fragment;
use crate::domain::user::{Role, Status, User, UserName};
use crate::entropy;
use crate::store::Unavailable;
use crate::store::ledger::{Administered, NewUser};
use crate::telemetry::traces::STEPS;

pub struct NewAccount {
    pub email: Email,
    pub name: UserName,
    pub role: Role,
}

impl NewAccount {
    pub(super) fn user(self, act: Act) -> User {
        User {
            id: UserId::new(act.at, entropy::random()),
            email: self.email,
            name: self.name,
            role: self.role,
            status: Status::Active,
            created_at: act.at,
        }
    }
}

/// A user just invited.
pub struct Created {
    pub user: User,
    pub invitation: IssuedLink,
}

impl Accounts {
    /// Users, the newest first; with `search`, those in whose name or e-mail
    /// address it is found.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn list_users(
        &self,
        search: Option<&Fragment>,
        page: PageOf<UserId>,
    ) -> Result<Page<User, UserId>, Unavailable> {
        self.ledger.list_users(search, page).await
    }

    /// Those of the ids that there still are users of, by id.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn users_among(
        &self,
        ids: impl IntoIterator<Item = UserId>,
    ) -> Result<HashMap<UserId, User>, Unavailable> {
        let ids: HashSet<UserId> = ids.into_iter().collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<UserId> = ids.into_iter().collect();
        let users = self.ledger.users_among(&ids).await?;
        Ok(users.into_iter().map(|user| (user.id, user)).collect())
    }

    /// # Errors
    /// [`Error::NotFound`] or [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn user(&self, user: UserId) -> Result<User, Error> {
        let found = self.ledger.credentials_of(user).await?;
        found.map(|found| found.user).ok_or(Error::NotFound)
    }

    /// # Errors
    /// [`Error::NotFound`] or [`Error::Unavailable`].
    pub async fn user_by_email(&self, email: &Email) -> Result<User, Error> {
        let found = self.ledger.find_credentials(email).await?;
        found.map(|found| found.user).ok_or(Error::NotFound)
    }

    /// Creates a user who has no password until the invitation is used.
    ///
    /// # Errors
    /// [`Error::EmailTaken`] or [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn invite(&self, account: NewAccount, act: Act) -> Result<Created, Error> {
        let invitation = IssuedLink::mint(act.at);
        let new = NewUser {
            user: account.user(act),
            password_hash: None,
        };
        let link = invitation.to_be();
        if self.ledger.create_user(&new, Some(&link), act).await? {
            Ok(Created {
                user: new.user,
                invitation,
            })
        } else {
            Err(Error::EmailTaken)
        }
    }

    /// Creates a user with a password.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], [`Error::Busy`] or [`Error::Unavailable`].
    pub async fn create_user(
        &self,
        account: NewAccount,
        password: NewPassword,
        act: Act,
    ) -> Result<User, Error> {
        let hash = self.hasher.hash(password).await?;
        self.import_user(account, hash, act).await
    }

    /// Creates a user with the hash of a password.
    ///
    /// # Errors
    /// [`Error::EmailTaken`] or [`Error::Unavailable`].
    pub async fn import_user(
        &self,
        account: NewAccount,
        hash: PasswordHash,
        act: Act,
    ) -> Result<User, Error> {
        let new = NewUser {
            user: account.user(act),
            password_hash: Some(hash),
        };
        if self.ledger.create_user(&new, None, act).await? {
            Ok(new.user)
        } else {
            Err(Error::EmailTaken)
        }
    }

    /// Locks an account, which ends its sessions, or unlocks it, which revives
    /// none.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::LastAdmin`] or [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn set_status(&self, user: UserId, status: Status, act: Act) -> Result<User, Error> {
        let ledger = self.ledger.clone();
        self.administer(Box::new(async move {
            ledger.set_status(user, status, act).await
        }))
        .await
    }

    /// # Errors
    /// [`Error::NotFound`], [`Error::LastAdmin`] or [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn set_role(&self, user: UserId, role: Role, act: Act) -> Result<User, Error> {
        let ledger = self.ledger.clone();
        self.administer(Box::new(
            async move { ledger.set_role(user, role, act).await },
        ))
        .await
    }

    /// Deletes a user and ends their sessions.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::LastAdmin`] or [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn delete_user(&self, user: UserId, act: Act) -> Result<User, Error> {
        let ledger = self.ledger.clone();
        self.administer(Box::new(async move { ledger.delete_user(user, act).await }))
            .await
    }

    /// Carries the work to its end, and makes what it has ended hold at once.
    async fn administer<W>(&self, work: Box<W>) -> Result<User, Error>
    where
        W: Future<Output = Result<Administered, Unavailable>> + Send + 'static,
    {
        let work = Box::into_pin(work);
        let sessions = Arc::clone(&self.sessions);
        self.sessions
            .uncut(async move {
                let (user, committed) = work.await??;
                sessions.publish(committed).await;
                Ok(user)
            })
            .await
    }
}
