//! What is to be done now and then, by one instance.

use super::Result;
use crate::domain::time::Timestamp;
use crate::store::ledger::connection::{Link, execute};

/// Changes the row if it was last set by then.
pub(in crate::store::ledger) async fn begin(
    link: Link<'_>,
    now: Timestamp,
    due: Timestamp,
) -> Result<u64> {
    execute!(
        link,
        "update chores set begun_at = $1 where begun_at <= $2",
        now,
        due,
    )
}
