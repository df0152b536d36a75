//! PostgreSQL: connections, transactions, and the commit that orders the log.

use std::fmt::Write as _;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, FromRow as _, PgConnection, Postgres};

use super::rows::{AppendedRow, RevocationColumns};
use super::{DEADLINE, schema};
use crate::domain::revocation::{Appended, Entry, Revocation};

/// How long the first connection may take.
const START_DEADLINE: Duration = Duration::from_secs(5);

/// A connection that was idle for longer is tried before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct Database {
    pool: PgPool,
    options: PgConnectOptions,
}

impl Database {
    pub(super) async fn connect(url: &str, max_connections: u32) -> anyhow::Result<Self> {
        let plain = PgConnectOptions::from_str(url)
            .context("database.url is not a PostgreSQL URL")?
            .application_name("gatelodge");
        // A transaction holds the lock of the log's head only across its last
        // round trip; these see to it that a frozen instance holds none for long.
        let limited = plain.clone().options([
            ("lock_timeout", "1s"),
            ("statement_timeout", "1s"),
            ("idle_in_transaction_session_timeout", "1s"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(DEADLINE)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(limited);
        let database = Self {
            pool,
            options: plain,
        };
        // A pool would only tell that it waited in vain.
        let tried = tokio::time::timeout(START_DEADLINE, database.dedicated())
            .await
            .context("PostgreSQL does not answer at database.url")?
            .context("cannot connect to database.url")?;
        tried.close().await?;
        Ok(database)
    }

    pub(super) async fn migrate(&self) -> anyhow::Result<()> {
        let mut connection = self.dedicated().await?;
        migrator().run(&mut connection).await?;
        Ok(connection.close().await?)
    }

    pub(super) async fn check_schema(&self) -> anyhow::Result<()> {
        let migrator = migrator();
        let mut connection = self.pool.acquire().await?;
        let applied = connection
            .list_applied_migrations(&migrator.table_name)
            .await?;
        schema::require_migrations(&migrator, &applied)
    }

    /// A connection outside the pool and without its limits.
    pub(super) async fn dedicated(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.options).await
    }

    pub(super) async fn connection(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        self.pool.acquire().await
    }

    pub(super) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        let mut transaction = Transaction {
            connection: Some(self.pool.acquire().await?),
        };
        sqlx::raw_sql("begin")
            .execute(transaction.connection())
            .await?;
        Ok(transaction)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

fn migrator() -> Migrator {
    schema::tolerant(sqlx::migrate!("migrations/postgres"))
}

/// A transaction of our own rather than sqlx's, because that one cannot commit
/// in the round trip of its last statement. Dropped before its end, it closes
/// the connection, and the server undoes it.
pub(super) struct Transaction {
    connection: Option<PoolConnection<Postgres>>,
}

impl Transaction {
    #[expect(
        clippy::expect_used,
        reason = "only `finish` takes it, and consumes the transaction"
    )]
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("the transaction is open")
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
        self.finish();
        Ok(appended)
    }

    pub(super) async fn abandon(mut self) -> Result<(), sqlx::Error> {
        sqlx::raw_sql("rollback").execute(self.connection()).await?;
        self.finish();
        Ok(())
    }

    fn finish(mut self) {
        drop(self.connection.take());
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.close_on_drop();
        }
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
         (update revocation_head set number = number + {count}{everyone} returning number), \
         appended as (insert into revocations (number, kind, user_id, session_id) \
         select head.number - {count} + entry.position, entry.kind, entry.user_id, entry.session_id \
         from head, (values {values}) as entry (position, kind, user_id, session_id) \
         returning number, mark) \
         select number, mark, (select r.mark from revocations r, head \
         where r.number = head.number - {count}) as after from appended order by number; commit"
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
        // The same in every row. The statement does not see what was committed
        // while it waited for the head's lock; then there is none.
        appended.after = after;
        appended.entries.push(Entry {
            number,
            mark,
            revocation: *revocation,
        });
    }
    Ok(appended)
}
