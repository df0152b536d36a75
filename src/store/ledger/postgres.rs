//! PostgreSQL: connections, transactions, and the commit that orders the log.

use std::fmt::Write as _;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::migrate::{AppliedMigration, Migrate as _, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, FromRow as _, PgConnection};
use tokio::time::Instant;

use super::connection::Link;
use super::pool::{self, Lent, Pool};
use super::rows::{AppendedRow, RevocationColumns};
use super::schema::{self, Applied};
use crate::domain::revocation::{Appended, Entry, Revocation};
use crate::store::Standing;

/// How long each step of the start may take that is not a migration.
const START_DEADLINE: Duration = Duration::from_secs(5);

/// The server gives up an instance that has vanished, and what it had locked,
/// within half a minute. Our own side of the socket is out of reach in sqlx; the
/// deadlines of use cases stand for it.
const GIVE_UP: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "15s"),
];

/// A transaction holds the lock of the log's head only across its last round trip;
/// these see to it that a frozen instance holds none for long.
const LIMITS: [(&str, &str); 3] = [
    ("lock_timeout", "1s"),
    ("statement_timeout", "1s"),
    ("idle_in_transaction_session_timeout", "1s"),
];

/// A migration takes its time, but waits for locks no longer than others can wait behind
/// it: every statement that comes after a lock that is asked for queues up there.
const MIGRATION_LIMITS: [(&str, &str); 2] = [
    ("lock_timeout", "500ms"),
    ("idle_in_transaction_session_timeout", "10s"),
];

/// Every statement is short. The planner takes a table that was never analysed for
/// many times its size, and would have the server compile for a second what then takes
/// a millisecond: after a restore, an upgrade, or in the first minutes.
const UNCOMPILED: [(&str, &str); 1] = [("jit", "off")];

#[derive(Clone)]
pub struct Database {
    pool: Pool,
    options: PgConnectOptions,
}

impl Database {
    pub(super) async fn connect(url: &str, max_connections: u32) -> anyhow::Result<Self> {
        let plain = PgConnectOptions::from_str(url)
            .context("database.url is not a PostgreSQL URL")?
            .application_name("gatelodge")
            .options(GIVE_UP)
            .options(UNCOMPILED);
        let pool = Pool::new(plain.clone().options(LIMITS), max_connections)?;
        let database = Self {
            pool,
            options: plain,
        };
        // A pool would only tell that it waited in vain.
        let tried = async { database.dedicated().await?.close().await };
        tokio::time::timeout(START_DEADLINE, tried)
            .await
            .context("PostgreSQL does not answer at database.url")?
            .context("cannot connect to database.url")?;
        Ok(database)
    }

    /// Of instances that start at once, one migrates: sqlx takes an advisory lock. Who
    /// lacks nothing takes none, and need not wait for what a later version does.
    pub(super) async fn migrate(&self, mut told: impl FnMut(&Applied)) -> anyhow::Result<()> {
        let migrator = migrator();
        let applied = schema::patiently(async || self.applied(&migrator).await).await?;
        for migration in schema::lacking(&migrator, &applied)? {
            let begun = Instant::now();
            schema::patiently(async || {
                let options = self.options.clone().options(MIGRATION_LIMITS);
                let mut connection = PgConnection::connect_with(&options).await?;
                schema::apply(&migrator, migration, &mut connection).await?;
                Ok(connection.close().await?)
            })
            .await?;
            told(&Applied::now(migration, begun));
        }
        Ok(())
    }

    pub(super) async fn check_schema(&self) -> anyhow::Result<()> {
        let migrator = migrator();
        let applied = tokio::time::timeout(START_DEADLINE, self.applied(&migrator))
            .await
            .context("PostgreSQL does not answer")??;
        schema::require_migrations(&migrator, &applied)
    }

    pub(super) async fn sign_of_another(&self) -> anyhow::Result<Option<String>> {
        let migrator = migrator();
        let applied = self.applied(&migrator).await?;
        // Where tables are made.
        let tables = "select relname::text from pg_class \
                      where relnamespace = to_regnamespace(current_schema())";
        let mut connection = self.dedicated().await?;
        let tables: Vec<String> = sqlx::query_scalar(tables)
            .fetch_all(&mut connection)
            .await?;
        connection.close().await?;
        Ok(schema::sign_of_another(&migrator, &applied, &tables))
    }

    async fn applied(&self, migrator: &Migrator) -> Result<Vec<AppliedMigration>, MigrateError> {
        let mut connection = self.dedicated().await?;
        let listed = connection.list_applied_migrations(&migrator.table_name);
        schema::applied(listed.await)
    }

    /// A connection outside the pool.
    pub(super) async fn dedicated(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.options.clone().options(LIMITS)).await
    }

    /// Runs statements that only read, outside a transaction. What a lost
    /// connection has failed is done again.
    pub(super) async fn read<T>(
        &self,
        work: impl AsyncFn(Link<'_>) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        match self.write(&work).await {
            Err(error) if pool::is_lost(&error) => {
                self.pool.heed(&error);
                self.write(work).await
            }
            done => done,
        }
    }

    /// Runs statements outside a transaction, once.
    pub(super) async fn write<T>(
        &self,
        work: impl AsyncFnOnce(Link<'_>) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut lent = self.pool.lend().await?;
        let done = work(Link::Postgres(&mut lent)).await?;
        lent.give_back();
        Ok(done)
    }

    /// Begins once more if the connection was lost: nothing has been done on it.
    pub(super) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        match self.begin_once().await {
            Err(error) if pool::is_lost(&error) => {
                self.pool.heed(&error);
                self.begin_once().await
            }
            begun => begun,
        }
    }

    async fn begin_once(&self) -> Result<Transaction, sqlx::Error> {
        let mut lent = self.pool.lend().await?;
        sqlx::raw_sql("begin").execute(&mut *lent).await?;
        Ok(Transaction(lent))
    }

    /// What an error means for the connections there are.
    pub(super) fn heed(&self, error: &sqlx::Error) {
        self.pool.heed(error);
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }

    pub(super) fn standing(&self) -> Standing {
        self.pool.standing()
    }
}

fn migrator() -> Migrator {
    schema::tolerant(sqlx::migrate!("migrations/postgres"))
}

/// A transaction of our own rather than sqlx's, because that one cannot commit
/// in the round trip of its last statement. Dropped before its end, it closes
/// the connection, and the server undoes it.
pub(super) struct Transaction(Lent);

impl Transaction {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.0
    }

    pub(super) async fn commit(mut self, log: &[Revocation]) -> Result<Appended, sqlx::Error> {
        let appended = if log.is_empty() {
            sqlx::raw_sql("commit").execute(self.connection()).await?;
            Appended::default()
        } else {
            let rows = sqlx::raw_sql(AssertSqlSafe(append_and_commit(log)))
                .fetch_all(self.connection())
                .await?;
            numbered(log, &rows)?
        };
        self.0.give_back();
        Ok(appended)
    }

    pub(super) async fn abandon(mut self) -> Result<(), sqlx::Error> {
        sqlx::raw_sql("rollback").execute(self.connection()).await?;
        self.0.give_back();
        Ok(())
    }
}

/// Takes the next numbers, inserts the entries and commits, in one round trip:
/// the head's row is locked for no longer than the server needs for it. The
/// simple protocol this takes has no parameters; all that goes into the text
/// are numbers, UUIDs and the names of kinds.
fn append_and_commit(log: &[Revocation]) -> String {
    let count = log.len();
    // Assignments see the row as it was.
    let everyone = log
        .iter()
        .rposition(|entry| *entry == Revocation::EveryoneEnded);
    let everyone = everyone.map_or_else(String::new, |index| {
        format!(", everyone_ended = number + {}", index + 1)
    });
    let mut values = String::new();
    for (position, revocation) in (1..).zip(log) {
        let RevocationColumns {
            kind,
            user,
            session,
        } = (*revocation).into();
        let literal = |uuid: Option<uuid::Uuid>| {
            uuid.map_or_else(|| "null::uuid".to_owned(), |uuid| format!("'{uuid}'::uuid"))
        };
        let user = literal(user.map(crate::domain::id::UserId::as_uuid));
        let session = literal(session.map(crate::domain::id::SessionId::as_uuid));
        let comma = if position == 1 { "" } else { ", " };
        let _ = write!(values, "{comma}({position}, '{kind}', {user}, {session})");
    }
    format!(
        "with head as \
         (update revocation_head set number = number + {count}, mark_before = mark, \
         mark = gen_random_uuid(){everyone} returning number, mark, mark_before), \
         appended as (insert into revocations (number, mark, kind, user_id, session_id) \
         select head.number - {count} + entry.position, \
         case entry.position when {count} then head.mark else gen_random_uuid() end, \
         entry.kind, entry.user_id, entry.session_id \
         from head, (values {values}) as entry (position, kind, user_id, session_id) \
         returning number, mark) \
         select a.number, a.mark, head.mark_before as after from appended a, head \
         order by a.number; commit"
    )
}

fn numbered(log: &[Revocation], rows: &[PgRow]) -> Result<Appended, sqlx::Error> {
    if rows.len() != log.len() {
        return Err(sqlx::Error::RowNotFound);
    }
    let mut appended = Appended::default();
    for (revocation, row) in log.iter().zip(rows) {
        let AppendedRow {
            number,
            mark,
            after,
        } = AppendedRow::from_row(row)?;
        // The same in every row.
        appended.after = after;
        appended.entries.push(Entry {
            number,
            mark,
            revocation: *revocation,
        });
    }
    Ok(appended)
}
