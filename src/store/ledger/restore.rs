//! After a restore, or a failover that lost commits: what the log has lost is
//! ended again, from what an instance remembers; or all there is, where none does.

use super::ending::Ending;
use super::sessions::SKEW;
use super::{Ledger, statements};
use crate::domain::audit::{Act, Action};
use crate::domain::id::{SessionId, UserId};
use crate::domain::revocation::LogNumber;
use crate::domain::time::Timestamp;
use crate::store::Unavailable;

/// For the audit log.
const RESTORED: &str = "restored from a backup";

impl Ledger {
    /// Ends all sessions and links, and forgets the instances that there were.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn end_what_was_restored(&self, act: Act) -> Result<(), Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            statements::links::delete_all(tx.link()).await?;
            statements::instances::delete_all(tx.link()).await?;
            let first_alive = SessionId::first_at(act.at - SKEW);
            statements::sessions::set_first_alive(tx.link(), first_alive).await?;
            let mut ending = Ending::default();
            ending.everyone();
            let event = act.did_to_nobody(Action::EveryoneRevoked).with(RESTORED);
            statements::log::insert_event(tx.link(), &event).await?;
            ending.commit(tx).await.map(drop)
        })
        .await
    }

    /// Ends sessions again, those that are back.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn end_sessions_again(&self, ids: &[SessionId]) -> Result<(), Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let mut ending = Ending::default();
            ending.whichever(&mut tx, ids).await?;
            ending.commit(tx).await.map(drop)
        })
        .await
    }

    /// Ends the sessions of users again, in the order of their ids, but for those spared; not
    /// of one where that was done since the log was set back to `common`, by another instance
    /// or by the user.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn end_users_again(
        &self,
        users: &[(UserId, Option<SessionId>)],
        common: LogNumber,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let mut undone = Vec::with_capacity(users.len());
            for (user, spared) in users {
                let lock = statements::users::lock_user(tx.link(), *user).await?;
                let is_done = statements::log::has_ended_user(tx.link(), *user, common).await?;
                if lock.is_some() && !is_done {
                    undone.push((*user, *spared));
                }
            }
            let mut ending = Ending::default();
            for (user, spared) in undone {
                ending.all_but(&mut tx, user, spared, now).await?;
            }
            ending.commit(tx).await.map(drop)
        })
        .await
    }

    /// Ends everyone's sessions again, unless that was done since the log was set
    /// back to `common`.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn end_everyone_again(&self, common: LogNumber) -> Result<(), Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            if statements::log::has_ended_everyone(tx.link(), common).await? {
                return tx.abandon().await;
            }
            let mut ending = Ending::default();
            ending.everyone();
            ending.commit(tx).await.map(drop)
        })
        .await
    }
}
