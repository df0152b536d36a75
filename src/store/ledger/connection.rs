//! One connection or transaction of either database, and the macros that run a
//! statement on it. A statement is written once; it is SQL that both speak.

use std::future::Future;

use sqlx::{PgConnection, Sqlite, SqliteConnection};
use tracing::{Instrument as _, Span, field};

use super::{Ledger, bounded, postgres, sqlite};
use crate::domain::revocation::{Appended, Revocation};
use crate::store::Unavailable;
use crate::telemetry::traces::STEPS;

/// Where a statement runs.
pub(super) enum Link<'c> {
    Postgres(&'c mut PgConnection),
    Sqlite(&'c mut SqliteConnection),
}

impl Link<'_> {
    /// The same link, for one statement of several.
    pub(super) fn reborrow(&mut self) -> Link<'_> {
        match self {
            Self::Postgres(connection) => Link::Postgres(connection),
            Self::Sqlite(connection) => Link::Sqlite(connection),
        }
    }
}

/// A transaction that is undone if it is dropped before its end.
pub(super) enum Transaction {
    Postgres(postgres::Transaction),
    Sqlite(sqlx::Transaction<'static, Sqlite>),
}

impl Transaction {
    pub(super) fn link(&mut self) -> Link<'_> {
        match self {
            Self::Postgres(transaction) => Link::Postgres(transaction.connection()),
            Self::Sqlite(transaction) => Link::Sqlite(transaction),
        }
    }

    /// Appends to the revocation log and commits. The entries' numbers are
    /// taken here, last, so that the order of numbers is the order of commits.
    pub(super) async fn commit(self, log: &[Revocation]) -> Result<Appended, sqlx::Error> {
        match self {
            Self::Postgres(transaction) => transaction.commit(log).await,
            Self::Sqlite(transaction) => sqlite::commit(transaction, log).await,
        }
    }

    /// Undoes everything, and keeps the connection.
    pub(super) async fn abandon(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(transaction) => transaction.abandon().await,
            Self::Sqlite(transaction) => transaction.rollback().await,
        }
    }
}

impl Ledger {
    pub(super) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        match self {
            Self::Postgres(database) => database.begin().await.map(Transaction::Postgres),
            Self::Sqlite(database) => database.begin().await.map(Transaction::Sqlite),
        }
    }

    /// Runs statements that only read, each a transaction of its own; perhaps twice.
    pub(super) async fn read<T>(
        &self,
        work: impl AsyncFn(Link<'_>) -> Result<T, sqlx::Error>,
    ) -> Result<T, Unavailable> {
        let step = self.step(&work);
        let work = async {
            match self {
                Self::Postgres(database) => database.read(work).await,
                Self::Sqlite(database) => work(Link::Sqlite(&mut *database.reader().await?)).await,
            }
        };
        self.run(step, work).await
    }

    /// Runs statements, each a transaction of its own.
    pub(super) async fn write<T>(
        &self,
        work: impl AsyncFnOnce(Link<'_>) -> Result<T, sqlx::Error>,
    ) -> Result<T, Unavailable> {
        let step = self.step(&work);
        let work = async {
            match self {
                Self::Postgres(database) => database.write(work).await,
                Self::Sqlite(database) => work(Link::Sqlite(&mut *database.writer().await?)).await,
            }
        };
        self.run(step, work).await
    }

    fn step<W>(&self, _: &W) -> Span {
        tracing::info_span!(
            target: STEPS,
            "ledger",
            otel.name = method_of::<W>(),
            otel.kind = "client",
            db.system.name = match self {
                Self::Postgres(_) => "postgresql",
                Self::Sqlite(_) => "sqlite",
            },
            db.operation.name = method_of::<W>(),
            "error.type" = field::Empty,
        )
    }

    /// Runs a use case within the deadline. What is cut short gives its
    /// connection up.
    pub(super) fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> impl Future<Output = Result<T, Unavailable>> {
        self.run(self.step(&work), work)
    }

    fn run<T>(
        &self,
        step: Span,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> impl Future<Output = Result<T, Unavailable>> {
        let work = bounded(work).instrument(step.clone());
        async move {
            let done = work.await;
            if let Err(error) = &done {
                step.record("error.type", "unavailable");
                if let Self::Postgres(database) = self {
                    database.heed(error);
                }
            }
            done.map_err(Unavailable::ledger)
        }
    }
}

/// The method that a piece of work is a part of, as the compiler names it.
fn method_of<W>() -> &'static str {
    let name = std::any::type_name::<W>();
    let path = name.split("::{{closure}}").next().unwrap_or(name);
    path.rsplit("::").next().unwrap_or(path)
}

/// `fetch!(link, fetch_optional::<Row>, sql, bind, …)`; with two texts, the
/// first is PostgreSQL's and the second SQLite's.
macro_rules! fetch {
    ($link:expr, $fetch:ident::<$row:ty>, $sql:literal $(, $bind:expr)* $(,)?) => {
        fetch!($link, $fetch::<$row>, [$sql, $sql] $(, $bind)*)
    };
    ($link:expr, $fetch:ident::<$row:ty>, [$postgres:expr, $sqlite:expr] $(, $bind:expr)* $(,)?) => {
        match $link {
            $crate::store::ledger::connection::Link::Postgres(connection) => {
                sqlx::query_as::<_, $row>($postgres)$(.bind($bind))*.$fetch(connection).await
            }
            $crate::store::ledger::connection::Link::Sqlite(connection) => {
                sqlx::query_as::<_, $row>($sqlite)$(.bind($bind))*.$fetch(connection).await
            }
        }
    };
}

/// `execute!(link, sql, bind, …)`: the number of rows changed.
macro_rules! execute {
    ($link:expr, $sql:literal $(, $bind:expr)* $(,)?) => {
        execute!($link, [$sql, $sql] $(, $bind)*)
    };
    ($link:expr, [$postgres:expr, $sqlite:expr] $(, $bind:expr)* $(,)?) => {
        match $link {
            $crate::store::ledger::connection::Link::Postgres(connection) => {
                sqlx::query($postgres)$(.bind($bind))*.execute(connection).await
                    .map(|done| done.rows_affected())
            }
            $crate::store::ledger::connection::Link::Sqlite(connection) => {
                sqlx::query($sqlite)$(.bind($bind))*.execute(connection).await
                    .map(|done| done.rows_affected())
            }
        }
    };
}

pub(super) use {execute, fetch};
