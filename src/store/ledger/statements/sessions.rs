//! Sessions. One lives only in its user's present generation, and only if it was
//! born since everyone's were ended.

use sqlx::{Postgres, QueryBuilder, Sqlite};
use time::OffsetDateTime;

use super::{Result, user_columns};
use crate::domain::digest::TokenDigest;
use crate::domain::id::{SessionId, UserId};
use crate::domain::revocation::{LogNumber, Mark, Vouched};
use crate::domain::session::{Draft, Session};
use crate::domain::time::Timestamp;
use crate::store::ledger::columns::Address;
use crate::store::ledger::connection::{Link, execute, fetch};
use crate::store::ledger::rows::{FoundRow, SessionRow};

macro_rules! session_columns {
    () => {
        "s.id as session_id, s.user_id as session_user_id, s.born, s.authenticated_at, \
         s.last_seen_at, s.expires_at, s.idle_timeout_ms, s.remember_me, \
         s.address, s.user_agent"
    };
}

/// Sessions that nobody has ended, with their users and the log's head.
macro_rules! not_ended {
    () => {
        "sessions s join users u on u.id = s.user_id and u.session_generation = s.generation \
         join revocation_head h on h.everyone_ended <= s.born"
    };
}

/// Until when a session may be in use unless it is seen again, as
/// `Session::may_be_in_use` has it.
macro_rules! idle_end {
    (postgres) => {
        "s.last_seen_at + interval '1 second' + s.idle_timeout_ms * interval '1.05 milliseconds'"
    };
    (sqlite) => {
        "s.last_seen_at + 1000 + s.idle_timeout_ms * 105 / 100"
    };
}

/// `Session::may_be_in_use`, as a condition on `$1`.
macro_rules! in_use {
    ($dialect:ident) => {
        concat!("s.expires_at > $1 and ", idle_end!($dialect), " > $1")
    };
}

pub(super) use {idle_end, not_ended, session_columns};

/// The session as it was born, and the mark of the log's head at that number.
pub(in crate::store::ledger) async fn insert_session(
    link: Link<'_>,
    user: UserId,
    draft: &Draft,
) -> Result<(Session, Vouched)> {
    let unborn = Session::from_draft(draft.clone(), user, LogNumber::default());
    let (born, mark): (LogNumber, Mark) = fetch!(
        link,
        fetch_one::<(LogNumber, Mark)>,
        "insert into sessions (id, digest, user_id, generation, born, issued_at, \
         authenticated_at, last_seen_at, expires_at, idle_timeout_ms, remember_me, address, \
         user_agent) \
         select $1, $2, u.id, u.session_generation, h.number, $4, $5, $6, $7, $8, $9, $10, $11 \
         from users u cross join revocation_head h where u.id = $3 \
         returning born, (select r.mark from revocations r where r.number = born)",
        unborn.id,
        draft.digest,
        user,
        unborn.issued_at(),
        unborn.authenticated_at,
        unborn.last_seen_at,
        unborn.expires_at,
        i64::try_from(unborn.idle_timeout_ms).unwrap_or(i64::MAX),
        unborn.remember_me,
        unborn.address.map(Address),
        unborn.user_agent.as_ref(),
    )?;
    let vouched = Vouched {
        number: born,
        mark: mark.prefix(),
    };
    Ok((Session { born, ..unborn }, vouched))
}

/// A session and its user as of the log's head, all read at one moment; a row even
/// if there is none.
pub(in crate::store::ledger) async fn record(
    link: Link<'_>,
    digest: &TokenDigest,
) -> Result<FoundRow> {
    macro_rules! select {
        ($is_read_only:literal) => {
            concat!(
                "select ",
                session_columns!(),
                ", ",
                user_columns!(),
                ", h.number as vouched, r.mark as vouched_mark, ",
                $is_read_only,
                " as is_read_only from revocation_head h \
                 join revocations r on r.number = h.number \
                 left join sessions s on s.digest = $1 and h.everyone_ended <= s.born \
                 left join users u \
                 on u.id = s.user_id and u.session_generation = s.generation"
            )
        };
    }
    const POSTGRES: &str = select!("current_setting('transaction_read_only')::boolean");
    const SQLITE: &str = select!("false");
    fetch!(link, fetch_one::<FoundRow>, [POSTGRES, SQLITE], digest)
}

/// Newest first, up to a number no list is longer than; those past a limit of
/// their own included.
pub(in crate::store::ledger) async fn sessions_of(
    link: Link<'_>,
    user: UserId,
) -> Result<Vec<SessionRow>> {
    const SQL: &str = concat!(
        "select ",
        session_columns!(),
        " from ",
        not_ended!(),
        " where s.user_id = $1 order by s.id desc limit 1000"
    );
    fetch!(link, fetch_all::<SessionRow>, [SQL, SQL], user)
}

pub(in crate::store::ledger) async fn session(
    link: Link<'_>,
    id: SessionId,
) -> Result<Option<SessionRow>> {
    const SQL: &str = concat!(
        "select ",
        session_columns!(),
        " from ",
        not_ended!(),
        " where s.id = $1"
    );
    fetch!(link, fetch_optional::<SessionRow>, [SQL, SQL], id)
}

/// When the session ends at the latest, if the user has such a session. Holds
/// its lock until the transaction ends, so that nobody ends it meanwhile.
pub(in crate::store::ledger) async fn lock_session(
    link: Link<'_>,
    user: UserId,
    session: SessionId,
) -> Result<Option<Timestamp>> {
    macro_rules! select {
        ($lock:literal) => {
            concat!(
                "select s.expires_at from ",
                not_ended!(),
                " where s.id = $2 and s.user_id = $1",
                $lock
            )
        };
    }
    const POSTGRES: &str = select!(" for update of s");
    const SQLITE: &str = select!("");
    let row = fetch!(
        link,
        fetch_optional::<(Timestamp,)>,
        [POSTGRES, SQLITE],
        user,
        session
    )?;
    Ok(row.map(|(expires_at,)| expires_at))
}

/// Under the user's lock: the generation must not change meanwhile.
pub(in crate::store::ledger) async fn delete_session(
    link: Link<'_>,
    user: UserId,
    session: SessionId,
) -> Result<Option<TokenDigest>> {
    let row = fetch!(
        link,
        fetch_optional::<(TokenDigest,)>,
        "delete from sessions where id = $2 and user_id = $1 \
         and generation = (select u.session_generation from users u where u.id = $1) \
         and born >= (select h.everyone_ended from revocation_head h) returning digest",
        user,
        session,
    )?;
    Ok(row.map(|(digest,)| digest))
}

/// Whatever its generation: it may be spared into the next one while this waits
/// for its lock. One that was dead already is ended once more.
pub(in crate::store::ledger) async fn delete_session_by_digest(
    link: Link<'_>,
    digest: &TokenDigest,
) -> Result<Option<(UserId, SessionId)>> {
    fetch!(
        link,
        fetch_optional::<(UserId, SessionId)>,
        "delete from sessions where digest = $1 returning user_id, id",
        digest,
    )
}

/// Whose session it is, whatever has become of it.
pub(in crate::store::ledger) async fn owner_of(
    link: Link<'_>,
    session: SessionId,
) -> Result<Option<UserId>> {
    let row = fetch!(
        link,
        fetch_optional::<(UserId,)>,
        "select user_id from sessions where id = $1",
        session,
    )?;
    Ok(row.map(|(user,)| user))
}

/// How many of a user's sessions may be in use.
pub(in crate::store::ledger) async fn count_sessions(
    link: Link<'_>,
    user: UserId,
    now: Timestamp,
) -> Result<i64> {
    macro_rules! select {
        ($dialect:ident) => {
            concat!(
                "select count(*) from ",
                not_ended!(),
                " where s.user_id = $2 and ",
                in_use!($dialect)
            )
        };
    }
    const POSTGRES: &str = select!(postgres);
    const SQLITE: &str = select!(sqlite);
    let (count,): (i64,) = fetch!(link, fetch_one::<(i64,)>, [POSTGRES, SQLITE], now, user)?;
    Ok(count)
}

/// Deletes a user's sessions in use but for the newest.
pub(in crate::store::ledger) async fn delete_surplus(
    link: Link<'_>,
    user: UserId,
    keep: usize,
    now: Timestamp,
) -> Result<Vec<(SessionId, TokenDigest)>> {
    macro_rules! delete {
        ($dialect:ident) => {
            concat!(
                "delete from sessions where id in (select s.id from ",
                not_ended!(),
                " where s.user_id = $2 and ",
                in_use!($dialect),
                " order by s.id desc limit 1000 offset $3) returning id, digest"
            )
        };
    }
    const POSTGRES: &str = delete!(postgres);
    const SQLITE: &str = delete!(sqlite);
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    fetch!(
        link,
        fetch_all::<(SessionId, TokenDigest)>,
        [POSTGRES, SQLITE],
        now,
        user,
        keep,
    )
}

/// Brings one session of a user into the user's present generation.
pub(in crate::store::ledger) async fn spare_session(
    link: Link<'_>,
    user: UserId,
    session: SessionId,
) -> Result<u64> {
    execute!(
        link,
        "update sessions set generation = \
         (select u.session_generation from users u where u.id = $1) \
         where id = $2 and user_id = $1",
        user,
        session,
    )
}

pub(in crate::store::ledger) async fn touch(
    link: Link<'_>,
    touches: Vec<(SessionId, Timestamp)>,
) -> Result<Vec<SessionId>> {
    let changed: Vec<(SessionId,)> = match link {
        Link::Postgres(connection) => {
            let (ids, times): (Vec<_>, Vec<_>) = touches
                .into_iter()
                .map(|(session, seen_at)| (session.as_uuid(), OffsetDateTime::from(seen_at)))
                .unzip();
            let touch = sqlx::query_as(
                "with idle as (select s.id, seen.at from sessions s \
                 join unnest($1::uuid[], $2::timestamptz[]) as seen (id, at) \
                 on s.id = seen.id and s.last_seen_at < seen.at \
                 for no key update of s skip locked) \
                 update sessions s set last_seen_at = idle.at from idle where s.id = idle.id \
                 returning s.id",
            );
            touch.bind(ids).bind(times).fetch_all(connection).await?
        }
        Link::Sqlite(connection) => {
            let mut touch = QueryBuilder::<Sqlite>::new(
                "update sessions set last_seen_at = seen.column2 from (",
            );
            touch.push_values(touches, |mut row, (session, seen_at)| {
                row.push_bind(session).push_bind(seen_at);
            });
            touch.push(
                ") as seen where sessions.id = seen.column1 \
                 and sessions.last_seen_at < seen.column2 returning sessions.id",
            );
            let touch = touch.build_query_as().persistent(false);
            touch.fetch_all(connection).await?
        }
    };
    Ok(changed.into_iter().map(|(session,)| session).collect())
}

/// Those of these that there are, whatever their state.
pub(in crate::store::ledger) async fn those_there(
    link: Link<'_>,
    ids: &[SessionId],
) -> Result<Vec<SessionId>> {
    macro_rules! select {
        ($database:ty, $connection:ident) => {{
            let mut select =
                QueryBuilder::<$database>::new("select id from sessions where id in (");
            let mut list = select.separated(", ");
            for id in ids {
                list.push_bind(*id);
            }
            select.push(")");
            let found = select.build_query_scalar().persistent(false);
            found.fetch_all($connection).await
        }};
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    match link {
        Link::Postgres(connection) => select!(Postgres, connection),
        Link::Sqlite(connection) => select!(Sqlite, connection),
    }
}

/// Deletes sessions whatever their state; returns those that were there.
pub(in crate::store::ledger) async fn delete_sessions(
    link: Link<'_>,
    ids: &[SessionId],
) -> Result<Vec<(SessionId, UserId, TokenDigest)>> {
    macro_rules! delete {
        ($database:ty, $connection:ident) => {{
            let mut delete = QueryBuilder::<$database>::new("delete from sessions where id in (");
            let mut list = delete.separated(", ");
            for id in ids {
                list.push_bind(*id);
            }
            delete.push(") returning id, user_id, digest");
            let deleted = delete.build_query_as().persistent(false);
            deleted.fetch_all(&mut *$connection).await
        }};
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    match link {
        Link::Postgres(connection) => delete!(Postgres, connection),
        Link::Sqlite(connection) => delete!(Sqlite, connection),
    }
}

/// The next sessions in the order of their ids, and whether each is over: ended,
/// expired, without its user, or idle for so long that no ledger's lag explains it.
pub(in crate::store::ledger) async fn look_over(
    link: Link<'_>,
    after: SessionId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(SessionId, bool)>> {
    macro_rules! select {
        ($long_idle:literal) => {
            concat!(
                "select s.id, s.expires_at <= $1 or ",
                $long_idle,
                " <= $1 or s.born < h.everyone_ended or u.id is null \
                 or s.generation < u.session_generation \
                 from sessions s cross join revocation_head h \
                 left join users u on u.id = s.user_id \
                 where s.id > $2 order by s.id limit $3"
            )
        };
    }
    const POSTGRES: &str = select!(
        "s.last_seen_at + interval '2 minutes' + s.idle_timeout_ms * interval '1.25 milliseconds'"
    );
    const SQLITE: &str = select!("s.last_seen_at + 120000 + s.idle_timeout_ms * 125 / 100");
    fetch!(
        link,
        fetch_all::<(SessionId, bool)>,
        [POSTGRES, SQLITE],
        now,
        after,
        limit
    )
}

/// No session with a lesser id is alive.
pub(in crate::store::ledger) async fn set_first_alive(
    link: Link<'_>,
    session: SessionId,
) -> Result<u64> {
    execute!(link, "update revocation_head set first_alive = $1", session)
}

/// How many sessions there are: up to 10 000 counted, beyond that as PostgreSQL estimates
/// for its own use. SQLite has no estimate, and stops at a million.
pub(in crate::store::ledger) async fn estimate(link: Link<'_>) -> Result<i64> {
    const POSTGRES: &str = "select case when few.number <= 10000 then few.number \
         else greatest(few.number, c.reltuples::bigint) end \
         from (select count(*) as number from (select from sessions limit 10001) s) few, \
         pg_class c where c.oid = 'sessions'::regclass";
    const SQLITE: &str = "select count(*) from (select 1 from sessions limit 1000000)";
    let (number,) = fetch!(link, fetch_one::<(i64,)>, [POSTGRES, SQLITE])?;
    Ok(number)
}
