//! Links that set a password, once: the invitation, the reset, and the setup of
//! the first admin.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::users::NewAccount;
use super::{Accounts, Error};
use crate::domain::audit::Act;
use crate::domain::id::UserId;
use crate::domain::link::{InvalidLink, LINK_LIFETIME, LinkToken};
use crate::domain::password::NewPassword;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::entropy;
use crate::store::ledger::{NewLink, NewUser};
use crate::telemetry::traces::STEPS;

pub use crate::store::ledger::{Earlier, FirstAdmin};

/// A link just made: the secret in it, and how long it can be used.
pub struct IssuedLink {
    pub token: LinkToken,
    pub expires_at: Timestamp,
}

impl IssuedLink {
    pub(super) fn mint(now: Timestamp) -> Self {
        Self {
            token: LinkToken::new(Zeroizing::new(entropy::random())),
            expires_at: now + LINK_LIFETIME,
        }
    }

    pub(super) fn to_be(&self) -> NewLink {
        NewLink {
            digest: self.token.digest(),
            expires_at: self.expires_at,
        }
    }
}

/// What the first admin says of themselves.
pub struct SetUp {
    pub account: NewAccount,
    pub password: NewPassword,
}

impl Accounts {
    /// A link by which a user sets a password, in the place of any before.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn issue_password_link(&self, user: UserId, act: Act) -> Result<IssuedLink, Error> {
        let link = IssuedLink::mint(act.at);
        if self.ledger.issue_link(user, &link.to_be(), act).await? {
            Ok(link)
        } else {
            Err(Error::NotFound)
        }
    }

    /// A link by which the first admin is set up; `None` if there is an admin.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn issue_setup_link(
        &self,
        earlier: Earlier,
        act: Act,
    ) -> Result<Option<IssuedLink>, Error> {
        let link = IssuedLink::mint(act.at);
        let is_issued = self
            .ledger
            .issue_setup_link(&link.to_be(), earlier, act)
            .await?;
        Ok(is_issued.then_some(link))
    }

    /// Sets the password of whom the link is for, and ends all their sessions
    /// (ASVS 6.4.3, 7.4.3). Logs nobody in.
    ///
    /// # Errors
    /// [`Error::InvalidLink`], [`Error::Busy`] or [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn redeem(
        &self,
        token: &LinkToken,
        password: NewPassword,
        act: Act,
    ) -> Result<(), Error> {
        let digest = token.digest();
        let hash = self.hasher.hash(password).await?;
        let (ledger, sessions) = (self.ledger.clone(), Arc::clone(&self.sessions));
        self.sessions
            .uncut(async move {
                let redeemed = ledger.redeem_link(&digest, &hash, act).await?;
                sessions.publish(redeemed.map_err(|_| InvalidLink)?).await;
                Ok(())
            })
            .await
    }

    /// Whether the first admin can be set up by that link.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn is_setup_link(&self, token: &LinkToken) -> Result<bool, Error> {
        let now = self.sessions.clock().now();
        Ok(self.ledger.is_setup_link(&token.digest(), now).await?)
    }

    /// Whose password can be set by that link.
    ///
    /// # Errors
    /// [`Error::InvalidLink`] or [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn link_holder(&self, token: &LinkToken) -> Result<User, Error> {
        let now = self.sessions.clock().now();
        let holder = self.ledger.find_link_holder(&token.digest(), now).await?;
        holder.ok_or_else(|| InvalidLink.into())
    }

    /// Creates the first admin for who has a setup link. Logs nobody in.
    ///
    /// # Errors
    /// [`Error::InvalidLink`], [`Error::EmailTaken`], [`Error::Busy`] or
    /// [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn set_up(&self, token: &LinkToken, by: SetUp, act: Act) -> Result<User, Error> {
        let digest = token.digest();
        if !self.ledger.is_setup_link(&digest, act.at).await? {
            return Err(InvalidLink.into());
        }
        let new = self.first_admin(by, act).await?;
        match self.ledger.set_up(&digest, &new, act).await? {
            FirstAdmin::Created => Ok(new.user),
            FirstAdmin::EmailTaken => Err(Error::EmailTaken),
            FirstAdmin::Exists => Err(InvalidLink.into()),
        }
    }

    /// Creates the first admin, unless there is one.
    ///
    /// # Errors
    /// [`Error::Busy`] or [`Error::Unavailable`].
    pub async fn bootstrap(&self, by: SetUp, act: Act) -> Result<FirstAdmin, Error> {
        if self.ledger.has_admin().await? {
            return Ok(FirstAdmin::Exists);
        }
        let new = self.first_admin(by, act).await?;
        Ok(self.ledger.create_first_admin(&new, act).await?)
    }

    async fn first_admin(&self, by: SetUp, act: Act) -> Result<NewUser, Error> {
        Ok(NewUser {
            user: by.account.user(act),
            password_hash: Some(self.hasher.hash(by.password).await?),
        })
    }
}
