//! The log is not the one it was: a restore, or a failover that lost commits. The
//! view is void until what the log has lost is ended again and the view begins anew.

use std::sync::atomic::Ordering;

use super::Shared;
use crate::domain::belief::Belief;
use crate::domain::revocation::{Head, LogNumber, Mark};
use crate::domain::view::View;
use crate::store::Unavailable;
use crate::store::ledger::{Ledger, LogReader};
use crate::telemetry::metrics::LOG_SET_BACK;

/// How many sessions one transaction ends again.
const ENDED: usize = 200;
/// Of how many users one transaction ends the sessions again: few enough to be done in time on
/// a ledger that takes 20 ms for each statement.
const USERS: usize = 8;

pub(super) async fn begin_anew(
    shared: &Shared,
    reader: &mut LogReader,
    ledger: &Ledger,
    head: Head,
) -> Result<(), Unavailable> {
    LOG_SET_BACK.count(());
    shared.is_void.store(true, Ordering::Release);
    shared.believe(|belief| *belief = Belief::default());
    shared.appended.store(0, Ordering::Release);
    let common = last_common(shared, reader, head.number).await?;
    let lost = shared.view().ended_after(common);
    tracing::error!(
        known = %shared.reached(), head = %head.number, %common,
        sessions = lost.sessions.len(), users = lost.users.len(), everyone = lost.everyone,
        "the revocation log is not the one it was; what it has lost is ended again"
    );
    for some in lost.sessions.chunks(ENDED) {
        ledger.end_sessions_again(some).await?;
    }
    let now = shared.clock.now();
    let mut users = Vec::from_iter(lost.users);
    // Whoever locks several does so in this order.
    users.sort_unstable();
    for some in users.chunks(USERS) {
        ledger.end_users_again(some, common, now).await?;
    }
    if lost.everyone {
        ledger.end_everyone_again(common).await?;
    }
    shared.roster().begin_anew();
    // The others may remember more, and need a poll or two to find out.
    tokio::time::sleep(shared.poll_interval * 2).await;
    let page = reader.read(None).await?;
    let anew =
        View::starting_at(page.head, shared.view_capacity).keeping_latest(shared.kept_latest);
    shared.change(|view| *view = anew);
    shared.era.fetch_add(1, Ordering::AcqRel);
    shared.is_void.store(false, Ordering::Release);
    Ok(())
}

/// The last number up to which both logs are one, or the view's floor if they have
/// parted before.
async fn last_common(
    shared: &Shared,
    reader: &mut LogReader,
    head: LogNumber,
) -> Result<LogNumber, Unavailable> {
    let (mut common, mut parted) = {
        let view = shared.view();
        (view.floor(), view.reached().min(head).next())
    };
    while common.next() < parted {
        let middle = LogNumber::new(common.get().midpoint(parted.get()));
        let known = shared.view().mark_at(middle);
        let mark = reader.mark_at(middle).await?.map(Mark::prefix);
        if mark == known {
            common = middle;
        } else {
            parted = middle;
        }
    }
    Ok(common)
}
