//! Counts of attempts to tell a password.

use super::Result;
use crate::domain::attempt::{Budget, BudgetKey, Count, Outcome, UNDER_WAY};
use crate::domain::time::Timestamp;
use crate::store::ledger::connection::{Link, execute, fetch};

/// Counts an attempt as under way, if there is room for it: the number of rows changed.
pub(in crate::store::ledger) async fn reserve(
    link: Link<'_>,
    budget: &Budget,
    now: Timestamp,
) -> Result<u64> {
    execute!(
        link,
        "insert into attempts as a \
         (key, account, failures, pending, expires_at, pending_until) \
         values ($1, $2, 0, 1, $3, $7) on conflict (key) do update set \
         failures = case when a.expires_at > $4 then a.failures else 0 end, \
         pending = case when a.pending_until > $4 then a.pending else 0 end + 1, \
         expires_at = case when $5 or a.expires_at <= $4 then $3 else a.expires_at end, \
         pending_until = $7 \
         where case when a.expires_at > $4 then a.failures else 0 end \
         + case when a.pending_until > $4 then a.pending else 0 end < $6",
        budget.key,
        budget.account,
        now + budget.window,
        now,
        budget.scope.is_in_a_row(),
        i64::from(budget.limit),
        now + UNDER_WAY,
    )
}

/// Counts an attempt as what it was: how many have failed by now. `None` if it was
/// forgotten meanwhile.
pub(in crate::store::ledger) async fn settle(
    link: Link<'_>,
    budget: &Budget,
    outcome: Outcome,
) -> Result<Option<u32>> {
    let (kept, added) = match outcome {
        Outcome::Right if budget.scope.is_in_a_row() => (false, 0),
        Outcome::Right | Outcome::Untried => (true, 0),
        Outcome::Wrong => (true, 1),
    };
    let failures = fetch!(
        link,
        fetch_optional::<(i32,)>,
        "update attempts set failures = case when $2 then failures else 0 end + $3, \
         pending = case when pending > 0 then pending - 1 else 0 end \
         where key = $1 returning failures",
        budget.key,
        kept,
        added,
    )?;
    Ok(failures.map(|(failures,)| failures.cast_unsigned()))
}

pub(in crate::store::ledger) async fn count(
    link: Link<'_>,
    key: BudgetKey,
    now: Timestamp,
) -> Result<Option<Count>> {
    let row = fetch!(
        link,
        fetch_optional::<(i32, Timestamp)>,
        "select failures, expires_at from attempts where key = $1 and expires_at > $2",
        key,
        now,
    )?;
    Ok(row.map(|(failures, expires_at)| Count {
        failures: failures.cast_unsigned(),
        expires_at,
    }))
}

/// Forgets what was counted under a key, and that of the browsers an account knows.
pub(in crate::store::ledger) async fn clear(link: Link<'_>, key: BudgetKey) -> Result<u64> {
    execute!(
        link,
        "delete from attempts where key = $1 or account = $1",
        key
    )
}

pub(in crate::store::ledger) async fn delete_expired(
    link: Link<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64> {
    execute!(
        link,
        "delete from attempts where key in (select key from attempts \
         where expires_at <= $1 and pending_until <= $1 limit $2)",
        now,
        i64::from(limit),
    )
}
