//! The instances that are registered. The time when one was struck off is for
//! sweeping up alone.

use super::Result;
use crate::domain::instance::{InstanceId, Report};
use crate::store::ledger::connection::{Link, execute, fetch};
use crate::store::ledger::rows::InstanceRow;

/// Takes back that it was struck off; 0 if it is not there.
pub(in crate::store::ledger) async fn enrol_again(
    link: Link<'_>,
    instance: InstanceId,
) -> Result<u64> {
    execute!(
        link,
        "update instances set struck_off_at = null where id = $1",
        instance
    )
}

pub(in crate::store::ledger) async fn insert_instance(
    link: Link<'_>,
    instance: InstanceId,
) -> Result<u64> {
    execute!(link, "insert into instances (id) values ($1)", instance)
}

pub(in crate::store::ledger) async fn report(
    link: Link<'_>,
    instance: InstanceId,
    report: Report,
) -> Result<u64> {
    execute!(
        link,
        "update instances set beat = $2, reached = $3, mark = $4, is_deaf = $5 where id = $1",
        instance,
        report.number,
        report.reached.number,
        report.reached.mark,
        report.is_deaf,
    )
}

pub(in crate::store::ledger) async fn instances(link: Link<'_>) -> Result<Vec<InstanceRow>> {
    fetch!(
        link,
        fetch_all::<InstanceRow>,
        "select id, beat, reached, mark, is_deaf, \
         struck_off_at is not null as is_struck_off from instances",
    )
}

pub(in crate::store::ledger) async fn strike_off(
    link: Link<'_>,
    instance: InstanceId,
) -> Result<u64> {
    execute!(
        link,
        [
            "update instances set struck_off_at = clock_timestamp() \
             where id = $1 and struck_off_at is null",
            "update instances set struck_off_at = cast(unixepoch('subsec') * 1000 as integer) \
             where id = $1 and struck_off_at is null"
        ],
        instance,
    )
}

pub(in crate::store::ledger) async fn delete_instance(
    link: Link<'_>,
    instance: InstanceId,
) -> Result<u64> {
    execute!(link, "delete from instances where id = $1", instance)
}

/// Those that were struck off a minute ago.
pub(in crate::store::ledger) async fn delete_struck_off(link: Link<'_>) -> Result<u64> {
    execute!(
        link,
        [
            "delete from instances where struck_off_at < clock_timestamp() - interval '1 minute'",
            "delete from instances \
             where struck_off_at < cast(unixepoch('subsec') * 1000 as integer) - 60000"
        ],
    )
}
