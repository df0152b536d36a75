//! SQLite: one file, one writer at a time, and many readers beside it (WAL).

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;

use anyhow::Context as _;
use sqlx::migrate::{AppliedMigration, Migrate as _, MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Sqlite, SqliteConnection, Transaction};
use tokio::time::Instant;

use super::DEADLINE;
use super::rows::{AppendedRow, RevocationColumns};
use super::schema::{self, Applied};
use crate::domain::revocation::{Appended, Entry, Revocation};
use crate::store::Standing;

#[derive(Clone)]
pub struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
    options: SqliteConnectOptions,
    claim: Option<Arc<File>>,
}

impl Database {
    pub(super) async fn open(url: &str, max_connections: u32) -> anyhow::Result<Self> {
        let options =
            SqliteConnectOptions::from_str(url).context("database.url is not a SQLite URL")?;
        Self::open_with(options, max_connections).await
    }

    pub(super) async fn open_file(file: &Path, max_connections: u32) -> anyhow::Result<Self> {
        Self::open_with(SqliteConnectOptions::new().filename(file), max_connections).await
    }

    async fn open_with(
        options: SqliteConnectOptions,
        max_connections: u32,
    ) -> anyhow::Result<Self> {
        let options = options
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that was answered survives a loss of power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(DEADLINE);
        open_private(options.get_filename())?;
        let _alone = alone(options.get_filename()).await?;
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(DEADLINE)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        let writer = pool(1)
            .connect_with(options.clone())
            .await
            .with_context(|| {
                format!(
                    "cannot open the SQLite database {}",
                    options.get_filename().display()
                )
            })?;
        let readers = pool(max_connections).connect_lazy_with(options.clone());
        Ok(Self {
            writer,
            readers,
            options,
            claim: None,
        })
    }

    /// Locks the database for this process's sessions, which are in its memory
    /// and cannot be served by two. Commands beside it need no claim.
    pub(super) fn claim(&mut self) -> anyhow::Result<()> {
        self.claim = Some(Arc::new(claim(self.options.get_filename())?));
        Ok(())
    }

    pub(super) async fn migrate(&self, mut told: impl FnMut(&Applied)) -> anyhow::Result<()> {
        let _alone = alone(self.options.get_filename()).await?;
        let migrator = migrator();
        let applied = self.applied(&migrator).await?;
        for migration in schema::lacking(&migrator, &applied)? {
            let begun = Instant::now();
            let mut connection = self.writer.acquire().await?;
            schema::apply(&migrator, migration, &mut *connection).await?;
            told(&Applied::now(migration, begun));
        }
        Ok(())
    }

    pub(super) async fn check_schema(&self) -> anyhow::Result<()> {
        let migrator = migrator();
        let applied = self.applied(&migrator).await?;
        schema::require_migrations(&migrator, &applied)
    }

    pub(super) async fn sign_of_another(&self) -> anyhow::Result<Option<String>> {
        let migrator = migrator();
        let applied = self.applied(&migrator).await?;
        let mut connection = self.reader().await?;
        let tables: Vec<String> = sqlx::query_scalar("select name from sqlite_master")
            .fetch_all(&mut *connection)
            .await?;
        Ok(schema::sign_of_another(&migrator, &applied, &tables))
    }

    pub(super) fn file(&self) -> &Path {
        self.options.get_filename()
    }

    async fn applied(&self, migrator: &Migrator) -> Result<Vec<AppliedMigration>, MigrateError> {
        let mut connection = self.readers.acquire().await?;
        let listed = connection.list_applied_migrations(&migrator.table_name);
        schema::applied(listed.await)
    }

    pub(super) async fn dedicated(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.options.connect().await
    }

    pub(super) async fn reader(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        self.readers.acquire().await
    }

    pub(super) async fn writer(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        self.writer.acquire().await
    }

    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("begin immediate").await
    }

    /// Of those who read: there is one writer.
    pub(super) fn standing(&self) -> Standing {
        let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let idle = self.readers.num_idle();
        Standing {
            idle,
            in_use: number(self.readers.size()).saturating_sub(idle),
            limit: number(self.readers.options().get_max_connections()),
            waiting: 0,
        }
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Held until it is dropped, so that no other process serves from the database.
pub(super) fn claim(database: &Path) -> anyhow::Result<File> {
    let path = database.with_extension("lock");
    let lock = open_private(&path)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "another gatelodge serves from {}: stop it, or use PostgreSQL to run several",
            database.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Waits until no other process sets the database up; none begins until this is
/// dropped.
async fn alone(database: &Path) -> anyhow::Result<File> {
    let path = database.with_extension("setup");
    let lock = open_private(&path)?;
    tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
        .await?
        .with_context(|| format!("cannot lock {}", path.display()))
}

fn open_private(path: &Path) -> anyhow::Result<File> {
    create_private(path).with_context(|| format!("cannot open {}", path.display()))
}

/// SQLite gives its other files the mode of this one. It holds password hashes.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let mut file = File::options();
    file.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file.open(path)
}

/// What [`claim`] and [`alone`] lock.
pub(super) fn locks_of(database: &Path) -> Vec<PathBuf> {
    let locks = ["lock", "setup"].map(|name| database.with_extension(name));
    locks.into()
}

fn migrator() -> Migrator {
    schema::tolerant(sqlx::migrate!("migrations/sqlite"))
}

pub(super) fn newest_migration() -> i64 {
    let versions = migrator().iter().map(|migration| migration.version).max();
    versions.unwrap_or(0)
}

pub(super) async fn commit(
    mut transaction: Transaction<'static, Sqlite>,
    log: &[Revocation],
) -> Result<Appended, sqlx::Error> {
    let mut appended = Appended::default();
    for revocation in log {
        let RevocationColumns {
            kind,
            user,
            session,
        } = (*revocation).into();
        sqlx::query(
            "update revocation_head set number = number + 1, \
             everyone_ended = iif($1, number + 1, everyone_ended)",
        )
        .bind(*revocation == Revocation::EveryoneEnded)
        .execute(&mut *transaction)
        .await?;
        let AppendedRow {
            number,
            mark,
            after,
        } = sqlx::query_as(
            "insert into revocations (number, kind, user_id, session_id) \
             select h.number, $1, $2, $3 from revocation_head h returning number, mark, \
             (select r.mark from revocations r where r.number = revocations.number - 1) as after",
        )
        .bind(kind)
        .bind(user)
        .bind(session)
        .fetch_one(&mut *transaction)
        .await?;
        if appended.entries.is_empty() {
            appended.after = after;
        }
        appended.entries.push(Entry {
            number,
            mark,
            revocation: *revocation,
        });
    }
    transaction.commit().await?;
    Ok(appended)
}
