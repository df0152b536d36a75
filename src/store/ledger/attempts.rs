//! Use cases of attempts to tell a password: each is counted before it is made.

use super::connection::Transaction;
use super::{Ledger, statements};
use crate::domain::attempt::{Budget, BudgetKey, Count, Outcome};
use crate::domain::audit::{Act, Action, Event};
use crate::domain::id::UserId;
use crate::domain::time::Timestamp;
use crate::store::Unavailable;

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reserved {
    Yes,
    /// Others are under way, and if all go wrong there is no room.
    Crowded,
    /// Too many have gone wrong.
    Exhausted {
        until: Timestamp,
    },
}

impl Ledger {
    /// Counts an attempt in all its budgets, or in none. If that is cut off in between, it
    /// stays in some until it is given up for lost ([`UNDER_WAY`](crate::domain::attempt::UNDER_WAY)).
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn reserve_attempt(
        &self,
        budgets: &[Budget],
        now: Timestamp,
    ) -> Result<Reserved, Unavailable> {
        self.write(async |mut link| {
            for (position, budget) in budgets.iter().enumerate() {
                if statements::attempts::reserve(link.reborrow(), budget, now).await? > 0 {
                    continue;
                }
                for reserved in &budgets[..position] {
                    let untried = Outcome::Untried;
                    statements::attempts::settle(link.reborrow(), reserved, untried).await?;
                }
                let count = statements::attempts::count(link, budget.key, now).await?;
                return Ok(match count {
                    Some(count) if count.failures >= budget.limit => Reserved::Exhausted {
                        until: count.expires_at,
                    },
                    _ => Reserved::Crowded,
                });
            }
            Ok(Reserved::Yes)
        })
        .await
    }

    /// Counts an attempt that was reserved as what it was. `at`: whose account it was
    /// made at, if there is one. `event`: what is written down of it.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn settle_attempt(
        &self,
        budgets: &[Budget],
        outcome: Outcome,
        at: Option<UserId>,
        act: Act,
        event: Option<&Event>,
    ) -> Result<(), Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            if let Some(event) = event {
                statements::log::insert_event(tx.link(), event).await?;
            }
            settle(&mut tx, budgets, outcome, at, act).await?;
            tx.commit(&[]).await?;
            Ok(())
        })
        .await
    }

    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn count_attempts(
        &self,
        key: BudgetKey,
        now: Timestamp,
    ) -> Result<Option<Count>, Unavailable> {
        self.read(async |link| statements::attempts::count(link, key, now).await)
            .await
    }

    /// Forgets the attempts counted under a key, with those of the browsers it knows if
    /// it is an account's. `at`: whose.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn clear_attempts(
        &self,
        key: BudgetKey,
        at: Option<UserId>,
        act: Act,
    ) -> Result<(), Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            statements::attempts::clear(tx.link(), key).await?;
            let event = act.did_to(Action::AttemptsCleared, at);
            statements::log::insert_event(tx.link(), &event).await?;
            tx.commit(&[]).await?;
            Ok(())
        })
        .await
    }

    /// Deletes up to `limit` counts that are over: how many that were.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn delete_expired_attempts(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Unavailable> {
        self.write(async |link| statements::attempts::delete_expired(link, now, limit).await)
            .await
    }
}

/// In the transaction of what has come of the attempt. There is an event when a budget
/// is used up, and not for each attempt that finds it so.
pub(super) async fn settle(
    tx: &mut Transaction,
    budgets: &[Budget],
    outcome: Outcome,
    at: Option<UserId>,
    act: Act,
) -> Result<(), sqlx::Error> {
    // The address last: many may wait for it.
    for budget in budgets.iter().rev() {
        let failures = statements::attempts::settle(tx.link(), budget, outcome).await?;
        if outcome == Outcome::Wrong && failures == Some(budget.limit) {
            let event = act.did_to(Action::Throttled, at);
            let event = event.with(budget.scope.as_str());
            statements::log::insert_event(tx.link(), &event).await?;
        }
    }
    Ok(())
}
