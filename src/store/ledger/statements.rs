//! The ledger's statements, one function each. Both databases run them; what
//! differs between the two is written side by side.

use sqlx::{Postgres, QueryBuilder, Sqlite};

use super::columns::Address;
use super::connection::{Link, execute, fetch};
use super::rows::{CredentialsRow, LogRow, RecordRow, SessionRow};
use crate::domain::audit::Event;
use crate::domain::digest::TokenDigest;
use crate::domain::email::Email;
use crate::domain::id::{EventId, SessionId, UserId};
use crate::domain::password::PasswordHash;
use crate::domain::revocation::{LogNumber, Mark, Vouched};
use crate::domain::session::{Draft, Session};
use crate::domain::time::Timestamp;
use crate::domain::user::{User, UserName};
use crate::entropy;

type Result<T> = std::result::Result<T, sqlx::Error>;

macro_rules! user_columns {
    () => {
        "u.id as user_id, u.email, u.name, u.role, u.status, u.created_at"
    };
}

macro_rules! session_columns {
    () => {
        "s.id as session_id, s.user_id as session_user_id, s.born, s.issued_at, \
         s.authenticated_at, s.last_seen_at, s.expires_at, s.idle_timeout_ms, s.remember_me, \
         s.address, s.user_agent"
    };
}

macro_rules! select_credentials {
    ($rest:literal) => {
        concat!(
            "select ",
            user_columns!(),
            ", u.password_hash, u.credential_version \
             from users u ",
            $rest
        )
    };
}

pub(super) async fn credentials_by_email(
    link: Link<'_>,
    email: &Email,
) -> Result<Option<CredentialsRow>> {
    const SQL: &str = select_credentials!("where u.email = $1");
    fetch!(link, fetch_optional::<CredentialsRow>, [SQL, SQL], email)
}

pub(super) async fn credentials_by_id(
    link: Link<'_>,
    user: UserId,
) -> Result<Option<CredentialsRow>> {
    const SQL: &str = select_credentials!("where u.id = $1");
    fetch!(link, fetch_optional::<CredentialsRow>, [SQL, SQL], user)
}

/// Holds the user's lock until the transaction ends. (A SQLite transaction
/// holds the lock of the whole database from its beginning.)
pub(super) async fn lock_user(link: Link<'_>, user: UserId) -> Result<Option<CredentialsRow>> {
    const POSTGRES: &str = select_credentials!("where u.id = $1 for no key update");
    const SQLITE: &str = select_credentials!("where u.id = $1");
    fetch!(
        link,
        fetch_optional::<CredentialsRow>,
        [POSTGRES, SQLITE],
        user
    )
}

/// Changes no row if the e-mail address is taken.
pub(super) async fn insert_user(link: Link<'_>, user: &User, hash: &PasswordHash) -> Result<u64> {
    execute!(
        link,
        "insert into users (id, email, name, role, status, password_hash, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (email) do nothing",
        user.id,
        &user.email,
        &user.name,
        user.role,
        user.status,
        hash,
        user.created_at,
    )
}

pub(super) async fn set_password(link: Link<'_>, user: UserId, hash: &PasswordHash) -> Result<u64> {
    execute!(
        link,
        "update users set password_hash = $2, credential_version = credential_version + 1 \
         where id = $1",
        user,
        hash,
    )
}

pub(super) async fn set_email(link: Link<'_>, user: UserId, email: &Email) -> Result<u64> {
    execute!(
        link,
        "update users set email = $2, credential_version = credential_version + 1 where id = $1",
        user,
        email,
    )
}

pub(super) async fn set_name(link: Link<'_>, user: UserId, name: &UserName) -> Result<u64> {
    execute!(link, "update users set name = $2 where id = $1", user, name)
}

pub(super) async fn delete_user(link: Link<'_>, user: UserId) -> Result<u64> {
    execute!(link, "delete from users where id = $1", user)
}

/// The session as it was born, and the mark of the log's head at that number.
pub(super) async fn insert_session(
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
        unborn.issued_at,
        unborn.authenticated_at,
        unborn.last_seen_at,
        unborn.expires_at,
        i64::try_from(unborn.idle_timeout.as_millis()).unwrap_or(i64::MAX),
        unborn.remember_me,
        unborn.client.address.map(Address),
        unborn.client.user_agent.as_ref(),
    )?;
    let vouched = Vouched {
        number: born,
        mark: mark.prefix(),
    };
    Ok((Session { born, ..unborn }, vouched))
}

/// A session and its user as of the log's head, all read at one moment.
pub(super) async fn record(link: Link<'_>, digest: &TokenDigest) -> Result<Option<RecordRow>> {
    const SQL: &str = concat!(
        "select ",
        session_columns!(),
        ", ",
        user_columns!(),
        ", h.number as vouched, r.mark as vouched_mark \
         from sessions s join users u on u.id = s.user_id and u.session_generation = s.generation \
         cross join revocation_head h join revocations r on r.number = h.number \
         where s.digest = $1"
    );
    fetch!(link, fetch_optional::<RecordRow>, [SQL, SQL], digest)
}

/// Newest first, up to a number no list is longer than; those past a limit of
/// their own included.
pub(super) async fn sessions_of(link: Link<'_>, user: UserId) -> Result<Vec<SessionRow>> {
    const SQL: &str = concat!(
        "select ",
        session_columns!(),
        " from sessions s join users u on u.id = s.user_id and u.session_generation = s.generation \
         where s.user_id = $1 order by s.issued_at desc, s.id desc limit 1000"
    );
    fetch!(link, fetch_all::<SessionRow>, [SQL, SQL], user)
}

/// When the session ends at the latest, if the user has such a session. Holds
/// its lock until the transaction ends, so that nobody ends it meanwhile.
pub(super) async fn lock_session(
    link: Link<'_>,
    user: UserId,
    session: SessionId,
) -> Result<Option<Timestamp>> {
    macro_rules! select {
        ($lock:literal) => {
            concat!(
                "select s.expires_at from sessions s \
                 join users u on u.id = s.user_id and u.session_generation = s.generation \
                 where s.id = $2 and s.user_id = $1",
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

pub(super) async fn delete_session(
    link: Link<'_>,
    user: UserId,
    session: SessionId,
) -> Result<Option<TokenDigest>> {
    let row = fetch!(
        link,
        fetch_optional::<(TokenDigest,)>,
        "delete from sessions where id = $2 and user_id = $1 and generation = \
         (select u.session_generation from users u where u.id = $1) returning digest",
        user,
        session,
    )?;
    Ok(row.map(|(digest,)| digest))
}

pub(super) async fn delete_session_by_digest(
    link: Link<'_>,
    digest: &TokenDigest,
) -> Result<Option<(UserId, SessionId)>> {
    fetch!(
        link,
        fetch_optional::<(UserId, SessionId)>,
        "delete from sessions where digest = $1 and generation = \
         (select u.session_generation from users u where u.id = user_id) returning user_id, id",
        digest,
    )
}

/// `Session::may_be_in_use`, as a condition on `$2`.
macro_rules! in_use {
    (postgres) => {
        "s.expires_at > $2 and s.last_seen_at + interval '1 second' \
         + s.idle_timeout_ms * interval '1.05 milliseconds' > $2"
    };
    (sqlite) => {
        "s.expires_at > $2 and s.last_seen_at + 1000 + s.idle_timeout_ms * 105 / 100 > $2"
    };
}

/// How many of a user's sessions may be in use.
pub(super) async fn count_sessions(link: Link<'_>, user: UserId, now: Timestamp) -> Result<i64> {
    macro_rules! select {
        ($dialect:ident) => {
            concat!(
                "select count(*) from sessions s \
                 join users u on u.id = s.user_id and u.session_generation = s.generation \
                 where s.user_id = $1 and ",
                in_use!($dialect)
            )
        };
    }
    const POSTGRES: &str = select!(postgres);
    const SQLITE: &str = select!(sqlite);
    let (count,): (i64,) = fetch!(link, fetch_one::<(i64,)>, [POSTGRES, SQLITE], user, now)?;
    Ok(count)
}

/// Deletes a user's sessions in use but for the newest.
pub(super) async fn delete_surplus(
    link: Link<'_>,
    user: UserId,
    keep: usize,
    now: Timestamp,
) -> Result<Vec<(SessionId, TokenDigest)>> {
    macro_rules! delete {
        ($dialect:ident) => {
            concat!(
                "delete from sessions where id in (select s.id from sessions s \
                 join users u on u.id = s.user_id and u.session_generation = s.generation \
                 where s.user_id = $1 and ",
                in_use!($dialect),
                " order by s.issued_at desc, s.id desc limit 1000 offset $3) returning id, digest"
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
        user,
        now,
        keep,
    )
}

/// Ends all of a user's sessions, however many there are.
pub(super) async fn next_generation(link: Link<'_>, user: UserId) -> Result<u64> {
    execute!(
        link,
        "update users set session_generation = session_generation + 1 where id = $1",
        user,
    )
}

/// Brings one session of a user into the user's present generation.
pub(super) async fn spare_session(link: Link<'_>, user: UserId, session: SessionId) -> Result<u64> {
    execute!(
        link,
        "update sessions set generation = \
         (select u.session_generation from users u where u.id = $1) \
         where id = $2 and user_id = $1",
        user,
        session,
    )
}

pub(super) async fn touch(link: Link<'_>, session: SessionId, seen_at: Timestamp) -> Result<u64> {
    execute!(
        link,
        "update sessions set last_seen_at = $2 where id = $1 and last_seen_at < $2",
        session,
        seen_at,
    )
}

/// Deletes sessions past their absolute limit. Idle ones stay until then: only
/// the hot store knows when they were last seen. So do those of an older
/// generation.
pub(super) async fn delete_expired(link: Link<'_>, now: Timestamp, limit: i64) -> Result<u64> {
    macro_rules! delete {
        ($lock:literal) => {
            concat!(
                "delete from sessions where id in (select id from sessions \
                 where expires_at <= $1 order by expires_at limit $2",
                $lock,
                ")"
            )
        };
    }
    const POSTGRES: &str = delete!(" for update skip locked");
    const SQLITE: &str = delete!("");
    execute!(link, [POSTGRES, SQLITE], now, limit)
}

pub(super) async fn insert_event(link: Link<'_>, event: &Event) -> Result<()> {
    insert_events(link, std::slice::from_ref(event)).await
}

/// One row each, in as few statements as there can be.
pub(super) async fn insert_events(link: Link<'_>, events: &[Event]) -> Result<()> {
    const INSERT: &str =
        "insert into events (id, at, action, actor_id, subject_id, session_id, address) ";
    macro_rules! insert {
        ($database:ty, $connection:expr) => {
            for batch in events.chunks(1000) {
                let mut insert = QueryBuilder::<$database>::new(INSERT);
                insert.push_values(batch, |mut row, event| {
                    row.push_bind(EventId::new(event.act.at, entropy::random()))
                        .push_bind(event.act.at)
                        .push_bind(event.action.as_str())
                        .push_bind(event.act.actor)
                        .push_bind(event.subject)
                        .push_bind(event.session)
                        .push_bind(event.act.address.map(Address));
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

/// The log's head and up to `limit` entries after `known`, all read at one
/// moment; a row even if there is no entry.
pub(super) async fn log_page(link: Link<'_>, known: LogNumber, limit: i64) -> Result<Vec<LogRow>> {
    macro_rules! select {
        ($now:literal, $in_recovery:literal) => {
            concat!(
                "select h.number as head, at_head.mark as head_mark, known.mark as known_mark, ",
                $now, " as now, ", $in_recovery, " as in_recovery, \
                 r.number, r.mark, r.kind, r.user_id, r.session_id \
                 from revocation_head h \
                 join revocations at_head on at_head.number = h.number \
                 left join revocations known on known.number = $1 \
                 left join (select * from revocations where number > $1 order by number limit $2) r \
                 on true order by r.number"
            )
        };
    }
    const POSTGRES: &str = select!("clock_timestamp()", "pg_is_in_recovery()");
    const SQLITE: &str = select!("cast(unixepoch('subsec') * 1000 as integer)", "false");
    fetch!(link, fetch_all::<LogRow>, [POSTGRES, SQLITE], known, limit)
}
