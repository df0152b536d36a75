//! The ledger: users, sessions, the revocation log and the audit log. A method is a use
//! case, and what it changes is one transaction, unless it says otherwise.

mod accounts;
mod attempts;
mod backup;
mod columns;
mod connection;
mod diagnosis;
mod ending;
mod events;
mod instances;
mod issue;
mod links;
mod locks;
mod log;
mod pool;
mod postgres;
mod readings;
mod restore;
mod rows;
mod schema;
mod sessions;
mod sqlite;
mod statements;
mod users;

use std::future::Future;
use std::time::{Duration, Instant};

use crate::domain::digest::TokenDigest;
use crate::domain::password::PasswordHash;
use crate::domain::revocation::Appended;
use crate::domain::time::millis;
use crate::domain::user::User;
use crate::telemetry::metrics::{self, Failure, STORE_DURATION, STORE_ERRORS};

pub use accounts::ChangedEmail;
pub use attempts::Reserved;
pub use backup::{Copied, Existing};
pub use diagnosis::Expected;
pub use ending::Opened;
pub use issue::{Issue, NotExchanged, Proof};
pub use links::{Earlier, FirstAdmin, NewLink};
pub use log::{LogPage, LogReader, Since};
pub use schema::Applied;
pub use sessions::{Batch, Touched};
pub use users::Administered;

/// No method of the ledger takes longer; then it is [`Unavailable`].
const DEADLINE: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub enum Ledger {
    Postgres(postgres::Database),
    Sqlite(sqlite::Database),
}

pub struct NewUser {
    pub user: User,
    /// `None`: a link will set it.
    pub password_hash: Option<PasswordHash>,
}

/// Why what was asked for does not hold, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The session that asked has ended, or its user is gone or locked.
    SessionEnded,
    /// The credential that was verified has been changed meanwhile.
    CredentialChanged,
    /// There is no such user.
    NotFound,
    /// Nobody else could administer.
    LastAdmin,
}

/// What a committed transaction has ended: what the instances must hear of, and
/// which copies can be dropped.
#[derive(Debug, Default)]
#[must_use = "a revocation takes effect on this instance only when it is published"]
pub struct Committed {
    pub appended: Appended,
    pub ended: Vec<TokenDigest>,
}

impl Ledger {
    /// Connects to `postgres://…` or opens (and creates) `sqlite://…`.
    ///
    /// Must be called on the runtime that outlives all callers: connections live there.
    ///
    /// # Errors
    /// If the URL is of another kind or nothing answers there.
    pub async fn connect(url: &str, max_connections: u32) -> anyhow::Result<Self> {
        if url.starts_with("sqlite:") {
            Ok(Self::Sqlite(
                sqlite::Database::open(url, max_connections).await?,
            ))
        } else {
            Ok(Self::Postgres(
                postgres::Database::connect(url, max_connections).await?,
            ))
        }
    }

    /// Claims the ledger for serving. PostgreSQL serves any number of instances,
    /// SQLite one.
    ///
    /// # Errors
    /// If another process serves from it.
    pub fn claim(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Postgres(_) => Ok(()),
            Self::Sqlite(database) => database.claim(),
        }
    }

    /// Brings the schema up to this version. One instance migrates at a time.
    ///
    /// # Errors
    /// If a migration fails.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        self.migrate_telling(|applied| {
            tracing::info!(
                migration = applied.version,
                description = applied.description,
                took_ms = millis(applied.took),
                "the schema is changed"
            );
        })
        .await
    }

    /// The same, and tells of each migration when it is made.
    ///
    /// # Errors
    /// If a migration fails.
    pub async fn migrate_telling(&self, told: impl FnMut(&Applied)) -> anyhow::Result<()> {
        match self {
            Self::Postgres(database) => database.migrate(told).await,
            Self::Sqlite(database) => database.migrate(told).await,
        }
    }

    /// # Errors
    /// If the schema lacks a migration that this version needs. It may be ahead.
    pub async fn check_schema(&self) -> anyhow::Result<()> {
        match self {
            Self::Postgres(database) => database.check_schema().await,
            Self::Sqlite(database) => database.check_schema().await,
        }
    }

    /// Closes the connections, each when it is given back.
    pub async fn close(&self) {
        match self {
            Self::Postgres(database) => database.close(),
            Self::Sqlite(database) => database.close().await,
        }
    }
}

/// Does the work, or as much of it as fits in the deadline.
fn bounded<T>(
    on: metrics::Store,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> impl Future<Output = Result<T, sqlx::Error>> {
    // Boxed: these futures are large, and every caller's would be as well.
    let work = Box::pin(work);
    async move {
        let begun = Instant::now();
        let done = tokio::time::timeout(DEADLINE, work)
            .await
            .unwrap_or_else(|elapsed| Err(sqlx::Error::Io(elapsed.into())));
        STORE_DURATION.observe(on, begun.elapsed());
        if let Err(error) = &done {
            STORE_ERRORS.count((on, failure_of(error)));
        }
        done
    }
}

fn failure_of(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::PoolTimedOut => Failure::Timeout,
        error if pool::is_silent(error) => Failure::Timeout,
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed => Failure::Connection,
        error if pool::is_lost(error) => Failure::Connection,
        _ => Failure::Refused,
    }
}
