//! Users who come from another system, many at once.

use super::{Accounts, NewAccount};
use crate::domain::audit::Act;
use crate::domain::id::UserId;
use crate::domain::password::PasswordHash;
use crate::domain::time::Timestamp;
use crate::domain::user::{Status, User};
use crate::entropy;
use crate::store::Unavailable;
use crate::store::ledger::NewUser;

pub struct ImportedUser {
    pub account: NewAccount,
    pub status: Status,
    /// `None`: a link will set a password.
    pub password_hash: Option<PasswordHash>,
    /// When the other system has created them, if it has said so.
    pub created_at: Option<Timestamp>,
}

/// What an import comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Imported {
    pub created: usize,
    /// Users of that e-mail address, who are left as they are.
    pub there_already: usize,
}

impl ImportedUser {
    /// Users are listed in the order of their ids: with that of now, all who are
    /// imported would stand before those who are older.
    fn user(self, act: Act) -> NewUser {
        let created_at = self.created_at.unwrap_or(act.at);
        let NewAccount { email, name, role } = self.account;
        NewUser {
            user: User {
                id: UserId::new(created_at, entropy::random()),
                email,
                name,
                role,
                status: self.status,
                created_at,
            },
            password_hash: self.password_hash,
        }
    }
}

impl Accounts {
    /// Creates users, all or none of them; passes over those who are there.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have been
    /// done, and can be asked for again.
    pub async fn import_users(
        &self,
        users: Vec<ImportedUser>,
        act: Act,
    ) -> Result<Imported, Unavailable> {
        let new: Vec<_> = users.into_iter().map(|user| user.user(act)).collect();
        let created = self.ledger.create_users(&new, act).await?;
        Ok(Imported {
            created,
            there_already: new.len() - created,
        })
    }

    /// What [`Accounts::import_users`] would come to, if each is named once.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn would_import(&self, users: &[ImportedUser]) -> Result<Imported, Unavailable> {
        let emails: Vec<_> = users.iter().map(|user| &user.account.email).collect();
        let there_already = self.ledger.taken_among(&emails).await?.len();
        Ok(Imported {
            created: users.len() - there_already,
            there_already,
        })
    }
}
