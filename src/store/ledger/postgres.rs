//! PostgreSQL: connections, transactions, and the commit that orders the log.

use std::fmt::Write as _;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, FromRow as _, PgConnection};

use super::connection::Link;
use super::pool::{self, Lent, Pool};
use super::rows::{AppendedRow, RevocationColumns};
use super::schema;
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
            .options(GIVE_UP);
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

    pub(super) async fn migrate(&self) -> anyhow::Result<()> {
        let mut connection = self.unlimited().await?;
        migrator().run(&mut connection).await?;
        Ok(connection.close().await?)
    }

    pub(super) async fn check_schema(&self) -> anyhow::Result<()> {
        let migrator = migrator();
        let applied = async {
            let mut connection = self.dedicated().await?;
            connection
                .list_applied_migrations(&migrator.table_name)
                .await
        };
        let applied = tokio::time::timeout(START_DEADLINE, applied)
            .await
            .context("PostgreSQL does not answer")??;
        schema::require_migrations(&migrator, &applied)
    }

    /// A connection outside the pool and without its limits.
    async fn unlimited(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.options).await
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
