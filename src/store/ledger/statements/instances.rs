//! The instances that are registered. The time when one was struck off is for
//! sweeping up alone.

use sqlx::{Postgres, QueryBuilder, Sqlite};

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
    instances: &[InstanceId],
) -> Result<()> {
    macro_rules! update {
        ($database:ty, $connection:ident, $now:literal) => {{
            let mut update = QueryBuilder::<$database>::new(concat!(
                "update instances set struck_off_at = ",
                $now,
                " where struck_off_at is null and id in ("
            ));
            let mut list = update.separated(", ");
            for instance in instances {
                list.push_bind(*instance);
            }
            update.push(")");
            let update = update.build().persistent(false);
            update.execute(&mut *$connection).await.map(drop)
        }};
    }
    match link {
        Link::Postgres(connection) => update!(Postgres, connection, "clock_timestamp()"),
        Link::Sqlite(connection) => update!(
            Sqlite,
            connection,
            "cast(unixepoch('subsec') * 1000 as integer)"
        ),
    }
}

pub(in crate::store::ledger) async fn delete_instance(
    link: Link<'_>,
    instance: InstanceId,
) -> Result<u64> {
    execute!(link, "delete from instances where id = $1", instance)
}

pub(in crate::store::ledger) async fn delete_all(link: Link<'_>) -> Result<u64> {
    execute!(link, "delete from instances")
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
