//! The two logs: revocations and events.

use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use sqlx::{Postgres, QueryBuilder, Sqlite};

use super::Result;
use crate::domain::audit::{Actor, Event, Outcome};
use crate::domain::id::{EventId, UserId};
use crate::domain::revocation::{LogNumber, Mark};
use crate::domain::text::Line;
use crate::domain::time::Timestamp;
use crate::entropy;
use crate::store::ledger::columns::Address;
use crate::store::ledger::connection::{Link, execute, fetch};
use crate::store::ledger::rows::LogRow;

pub(in crate::store::ledger) async fn insert_event(link: Link<'_>, event: &Event) -> Result<()> {
    insert_events(link, std::slice::from_ref(event)).await
}

/// One row each, in as few statements as there can be.
pub(in crate::store::ledger) async fn insert_events(
    link: Link<'_>,
    events: &[Event],
) -> Result<()> {
    const INSERT: &str = "insert into events (id, at, action, actor_id, by_operator, \
        subject_id, session_id, address, request_id, failed, reason, detail) ";
    macro_rules! insert {
        ($database:ty, $connection:expr) => {
            for batch in events.chunks(1000) {
                let mut insert = QueryBuilder::<$database>::new(INSERT);
                insert.push_values(batch, |mut row, event| {
                    row.push_bind(next_id(event.act.at))
                        .push_bind(event.act.at)
                        .push_bind(event.action.as_str())
                        .push_bind(event.act.actor.user())
                        .push_bind(event.act.actor == Actor::Operator)
                        .push_bind(event.subject)
                        .push_bind(event.session)
                        .push_bind(event.act.source.address.map(Address))
                        .push_bind(event.act.source.request)
                        .push_bind(event.action.outcome() == Outcome::Failure)
                        .push_bind(event.reason.as_ref().map(Line::as_str))
                        .push_bind(event.detail.as_deref());
                });
                insert.build().execute(&mut *$connection).await?;
            }
        };
    }
    match link {
        Link::Postgres(connection) => insert!(Postgres, connection),
        Link::Sqlite(connection) => insert!(Sqlite, connection),
    }
    Ok(())
}

/// Events of one millisecond stay in the order in which this process wrote them:
/// a counter takes the place of the first random bits (RFC 9562, 6.2, method 1).
fn next_id(at: Timestamp) -> EventId {
    static WRITTEN: AtomicU16 = AtomicU16::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed) % COUNTED_TO;
    let mut bits: [u8; 10] = entropy::random();
    bits[..2].copy_from_slice(&number.to_be_bytes());
    EventId::new(at, bits)
}

/// The twelve bits there are.
const COUNTED_TO: u16 = 1 << 12;

/// The log's head and up to `limit` entries after `known`, all read at one
/// moment; a row even if there is no entry.
pub(in crate::store::ledger) async fn log_page(
    link: Link<'_>,
    known: LogNumber,
    limit: i64,
) -> Result<Vec<LogRow>> {
    macro_rules! select {
        ($now:literal, $is_read_only:literal) => {
            concat!(
                "select h.number as head, at_head.mark as head_mark, known.mark as known_mark, \
                 known.recorded_at as known_at, ",
                $now, " as now, ", $is_read_only, " as is_read_only, \
                 r.number, r.mark, r.kind, r.user_id, r.session_id, r.recorded_at \
                 from revocation_head h \
                 join revocations at_head on at_head.number = h.number \
                 left join revocations known on known.number = $1 \
                 left join (select * from revocations where number > $1 order by number limit $2) r \
                 on true order by r.number"
            )
        };
    }
    const POSTGRES: &str = select!(
        "clock_timestamp()",
        "current_setting('transaction_read_only')::boolean"
    );
    const SQLITE: &str = select!("cast(unixepoch('subsec') * 1000 as integer)", "false");
    fetch!(link, fetch_all::<LogRow>, [POSTGRES, SQLITE], known, limit)
}

/// The last entry that was recorded longer ago, or the log's origin. Numbers and times
/// grow together, so that what is read is no more than what came later.
pub(in crate::store::ledger) async fn last_before(
    link: Link<'_>,
    ago: Duration,
) -> Result<LogNumber> {
    macro_rules! select {
        ($then:literal) => {
            concat!(
                "select number from revocations where recorded_at < ",
                $then,
                " order by number desc limit 1"
            )
        };
    }
    const POSTGRES: &str = select!("now() - $1 * interval '1 millisecond'");
    const SQLITE: &str = select!("cast(unixepoch('subsec') * 1000 as integer) - $1");
    let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    let row = fetch!(
        link,
        fetch_optional::<(LogNumber,)>,
        [POSTGRES, SQLITE],
        ago
    )?;
    Ok(row.map(|(number,)| number).unwrap_or_default())
}

pub(in crate::store::ledger) async fn mark(
    link: Link<'_>,
    number: LogNumber,
) -> Result<Option<Mark>> {
    let row = fetch!(
        link,
        fetch_optional::<(Mark,)>,
        "select mark from revocations where number = $1",
        number,
    )?;
    Ok(row.map(|(mark,)| mark))
}

/// Whether the log says after that number that all of a user's sessions ended.
pub(in crate::store::ledger) async fn has_ended_user(
    link: Link<'_>,
    user: UserId,
    after: LogNumber,
) -> Result<bool> {
    let row = fetch!(
        link,
        fetch_optional::<(LogNumber,)>,
        "select number from revocations where number > $1 and user_id = $2 \
         and kind = 'user_ended' limit 1",
        after,
        user,
    )?;
    Ok(row.is_some())
}

/// Whether the log says after that number that everyone's sessions ended.
pub(in crate::store::ledger) async fn has_ended_everyone(
    link: Link<'_>,
    after: LogNumber,
) -> Result<bool> {
    let row = fetch!(
        link,
        fetch_optional::<(LogNumber,)>,
        "select number from revocation_head where everyone_ended > $1",
        after,
    )?;
    Ok(row.is_some())
}

/// Deletes up to `limit` events older than that.
pub(in crate::store::ledger) async fn delete_events(
    link: Link<'_>,
    before: Timestamp,
    limit: i64,
) -> Result<u64> {
    execute!(
        link,
        "delete from events where id in \
         (select e.id from events e where e.id < $1 order by e.id limit $2)",
        EventId::first_at(before),
        limit,
    )
}
