//! Pages of users, sessions and events, newest first, by any filter. A condition
//! is in the statement only if it was asked for, and each statement is planned
//! for the values it has, so that there is an index for each page to go by.

use sqlx::{Postgres, QueryBuilder, Sqlite};

use super::sessions::{idle_end, not_ended, session_columns};
use super::{Result, user_columns};
use crate::domain::audit::{Action, Actor, EventFilter};
use crate::domain::id::{EventId, SessionId, UserId};
use crate::domain::page::PageOf;
use crate::domain::session::SessionFilter;
use crate::domain::text::Fragment;
use crate::domain::time::Timestamp;
use crate::store::ledger::columns::Address;
use crate::store::ledger::connection::{Link, fetch};
use crate::store::ledger::rows::{EventRow, SessionRow, UserRow};

/// What the databases call the same thing.
struct Dialect {
    /// Between a text and a pattern: they match, upper and lower case alike.
    like: &'static str,
    escape: &'static str,
    idle_end: &'static str,
}

const POSTGRES: Dialect = Dialect {
    like: " ilike ",
    escape: "",
    idle_end: idle_end!(postgres),
};

const SQLITE: Dialect = Dialect {
    like: " like ",
    escape: " escape '\\'",
    idle_end: idle_end!(sqlite),
};

/// All rows of the statement that the block writes, in the words of the link's
/// database.
macro_rules! list {
    ($link:expr, $row:ty, |$query:ident, $dialect:ident| $write:block) => {
        match $link {
            Link::Postgres(connection) => {
                list!(Postgres, POSTGRES, connection, $row, $query, $dialect, $write)
            }
            Link::Sqlite(connection) => {
                list!(Sqlite, SQLITE, connection, $row, $query, $dialect, $write)
            }
        }
    };
    ($database:ty, $words:ident, $connection:ident, $row:ty, $query:ident, $dialect:ident, $write:block) => {{
        let mut $query = QueryBuilder::<$database>::new("");
        let $dialect = &$words;
        $write
        let rows = $query.build_query_as::<$row>().persistent(false);
        rows.fetch_all(&mut *$connection).await
    }};
}

/// ` and column operator value`, if there is a value.
macro_rules! and {
    ($query:ident, $condition:literal, $value:expr) => {
        if let Some(value) = $value {
            $query.push($condition).push_bind(value);
        }
    };
}

/// The sessions that nobody has ended, that are not expired, and that the filter is
/// for, after one of them.
macro_rules! push_sessions {
    ($query:ident, $dialect:ident, $filter:ident, $first_alive:ident, $now:ident, $after:expr) => {
        $query
            .push(concat!(" from ", not_ended!(), " where s.expires_at > "))
            .push_bind($now);
        $query.push(" and s.id >= ").push_bind($first_alive);
        and!($query, " and s.id < ", $after);
        and!($query, " and s.user_id = ", $filter.user);
        and!(
            $query,
            " and s.id >= ",
            $filter.issued_after.map(first_after)
        );
        and!(
            $query,
            " and s.id < ",
            $filter.issued_before.map(SessionId::first_at)
        );
        and!($query, " and s.last_seen_at < ", $filter.last_seen_before);
        and!(
            $query,
            " and s.last_seen_hour <= ",
            $filter.last_seen_before.map(hour_of)
        );
        // Who was not seen since then was issued before then.
        and!(
            $query,
            " and s.id < ",
            $filter.last_seen_before.map(SessionId::first_at)
        );
        if let Some(network) = $filter.network {
            $query
                .push(" and s.address between ")
                .push_bind(Address(network.first()));
            $query.push(" and ").push_bind(Address(network.last()));
        }
        if let Some(part) = &$filter.user_agent {
            $query.push(" and s.user_agent").push($dialect.like);
            $query.push_bind(part.like_pattern()).push($dialect.escape);
        }
    };
}

/// The hour that a time is in.
fn hour_of(time: Timestamp) -> Timestamp {
    const HOUR: i64 = 3_600_000;
    Timestamp::from_millis(time.as_millis().div_euclid(HOUR) * HOUR)
}

fn first_after(time: Timestamp) -> SessionId {
    SessionId::first_at(time + std::time::Duration::from_millis(1))
}

/// No session with a lesser id is alive. Read first, so that the statement is
/// planned for it.
async fn first_alive(link: Link<'_>) -> Result<SessionId> {
    let row = fetch!(
        link,
        fetch_one::<(SessionId,)>,
        "select first_alive from revocation_head"
    );
    row.map(|(first_alive,)| first_alive)
}

/// Those that may be in use.
pub(in crate::store::ledger) async fn sessions(
    mut link: Link<'_>,
    filter: &SessionFilter,
    now: Timestamp,
    page: &PageOf<SessionId>,
) -> Result<Vec<SessionRow>> {
    let first_alive = first_alive(link.reborrow()).await?;
    list!(link, SessionRow, |query, dialect| {
        query.push(concat!("select ", session_columns!()));
        let after = page.after.map(|cursor| cursor.0);
        push_sessions!(query, dialect, filter, first_alive, now, after);
        query
            .push(" and ")
            .push(dialect.idle_end)
            .push(" > ")
            .push_bind(now);
        query
            .push(" order by s.id desc limit ")
            .push_bind(page.rows());
    })
}

/// The ids of the sessions that are not expired, idle or not.
pub(in crate::store::ledger) async fn unexpired(
    mut link: Link<'_>,
    filter: &SessionFilter,
    now: Timestamp,
    after: Option<SessionId>,
    limit: i64,
) -> Result<Vec<SessionId>> {
    let first_alive = first_alive(link.reborrow()).await?;
    let rows = list!(link, (SessionId,), |query, dialect| {
        query.push("select s.id");
        push_sessions!(query, dialect, filter, first_alive, now, after);
        query.push(" order by s.id desc limit ").push_bind(limit);
    })?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

pub(in crate::store::ledger) async fn users(
    link: Link<'_>,
    search: Option<&Fragment>,
    page: &PageOf<UserId>,
) -> Result<Vec<UserRow>> {
    list!(link, UserRow, |query, dialect| {
        query.push(concat!(
            "select ",
            user_columns!(),
            " from users u where true"
        ));
        and!(query, " and u.id < ", page.after.map(|cursor| cursor.0));
        if let Some(search) = search {
            query.push(" and (u.email").push(dialect.like);
            query.push_bind(search.like_pattern()).push(dialect.escape);
            query.push(" or u.name").push(dialect.like);
            query.push_bind(search.like_pattern()).push(dialect.escape);
            query.push(")");
        }
        query
            .push(" order by u.id desc limit ")
            .push_bind(page.rows());
    })
}

/// Those of the ids that there are users of.
pub(in crate::store::ledger) async fn users_among(
    link: Link<'_>,
    ids: &[UserId],
) -> Result<Vec<UserRow>> {
    list!(link, UserRow, |query, _dialect| {
        query.push(concat!(
            "select ",
            user_columns!(),
            " from users u where u.id in ("
        ));
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        query.push(")");
    })
}

/// The events that the filter is for.
macro_rules! push_events {
    ($query:ident, $filter:ident) => {
        $query.push(
            "select e.id, e.at, e.action, e.actor_id, e.by_operator, e.subject_id, \
             e.session_id, e.address, e.request_id, e.failed, e.reason, e.detail \
             from events e where true",
        );
        match $filter.actor {
            Some(Actor::User(actor)) => {
                $query.push(" and e.actor_id = ").push_bind(actor);
            }
            Some(Actor::Operator) => {
                $query.push(" and e.by_operator");
            }
            Some(Actor::Stranger) => {
                $query.push(" and e.actor_id is null and not e.by_operator");
            }
            None => {}
        }
        and!($query, " and e.subject_id = ", $filter.subject);
        and!(
            $query,
            " and e.action = ",
            $filter.action.map(Action::as_str)
        );
        and!(
            $query,
            " and e.id >= ",
            $filter.since.map(EventId::first_at)
        );
        and!($query, " and e.id < ", $filter.until.map(EventId::first_at));
    };
}

pub(in crate::store::ledger) async fn events(
    link: Link<'_>,
    filter: EventFilter,
    page: &PageOf<EventId>,
) -> Result<Vec<EventRow>> {
    list!(link, EventRow, |query, _dialect| {
        push_events!(query, filter);
        and!(query, " and e.id < ", page.after.map(|cursor| cursor.0));
        query
            .push(" order by e.id desc limit ")
            .push_bind(page.rows());
    })
}

/// The same, the oldest first: up to `limit` of those that come after one.
pub(in crate::store::ledger) async fn events_after(
    link: Link<'_>,
    filter: EventFilter,
    after: Option<EventId>,
    limit: i64,
) -> Result<Vec<EventRow>> {
    list!(link, EventRow, |query, _dialect| {
        push_events!(query, filter);
        and!(query, " and e.id > ", after);
        query.push(" order by e.id limit ").push_bind(limit);
    })
}
