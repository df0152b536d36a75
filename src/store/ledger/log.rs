//! Reading the revocation log.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, SqliteConnection};

use super::connection::Link;
use super::pool::LIFETIME;
use super::rows::LogRow;
use super::{Ledger, bounded, statements};
use crate::domain::revocation::{Entry, Head, LogNumber, Mark};
use crate::domain::time::Timestamp;
use crate::store::Unavailable;
use crate::telemetry::metrics;

const PAGE: i64 = 10_000;

/// A connection of its own, so that a drained pool cannot starve the poll.
pub struct LogReader {
    connection: Dedicated,
    opened_at: Instant,
}

enum Dedicated {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// What of the log is read.
#[derive(Clone, Copy, Debug)]
pub enum Since {
    /// What follows that entry.
    Entry(LogNumber),
    /// What was recorded so long ago, or later.
    Ago(Duration),
}

/// What the log says, read at one moment.
#[derive(Debug)]
pub struct LogPage {
    /// The entry the reader asked to go on from.
    pub known: LogNumber,
    /// The mark of `known`; `None` if the log does not reach it.
    pub known_mark: Option<Mark>,
    /// When `known` was recorded.
    pub known_at: Option<Timestamp>,
    pub head: Head,
    /// What follows `known`, in order; there may be more.
    pub entries: Vec<Entry>,
    /// When each of these was recorded.
    pub recorded_at: Vec<Timestamp>,
    /// The ledger's clock.
    pub now: Timestamp,
    /// The server takes no writes: it replays another's log, or was a primary. What
    /// it says may be behind.
    pub is_read_only: bool,
}

impl Ledger {
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn log_reader(&self) -> Result<LogReader, Unavailable> {
        let connection = self.bounded(async {
            match self {
                Self::Postgres(database) => database.dedicated().await.map(Dedicated::Postgres),
                Self::Sqlite(database) => database.dedicated().await.map(Dedicated::Sqlite),
            }
        });
        Ok(LogReader {
            connection: connection.await?,
            opened_at: Instant::now(),
        })
    }

    /// Up to `limit` entries of the log, for others than the poll.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer, or its server may be behind.
    pub async fn read_log(&self, since: Since, limit: u16) -> Result<LogPage, Unavailable> {
        let read = self.read(async |mut link| {
            let known = match since {
                Since::Entry(number) => number,
                Since::Ago(time) => statements::log::last_before(link.reborrow(), time).await?,
            };
            let rows = statements::log::log_page(link, known, limit.into()).await?;
            Ok((known, rows))
        });
        let (known, rows) = read.await?;
        LogPage::new(known, &rows)?.of_a_writer()
    }
}

impl LogReader {
    /// Whether to connect anew, so that the poll follows its address to another
    /// server even if the old one goes on.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.opened_at.elapsed() > LIFETIME
    }

    /// Runs statements within the deadline.
    pub(super) async fn ask<T>(
        &mut self,
        work: impl AsyncFnOnce(Link<'_>) -> Result<T, sqlx::Error>,
    ) -> Result<T, Unavailable> {
        let link = match &mut self.connection {
            Dedicated::Postgres(connection) => Link::Postgres(connection),
            Dedicated::Sqlite(connection) => Link::Sqlite(connection),
        };
        bounded(metrics::Store::LedgerPoll, work(link))
            .await
            .map_err(Unavailable::ledger)
    }

    /// The mark of an entry; `None` if the log does not reach it.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; connect anew.
    pub async fn mark_at(&mut self, number: LogNumber) -> Result<Option<Mark>, Unavailable> {
        self.ask(async |link| statements::log::mark(link, number).await)
            .await
    }

    /// What follows `known`, or only the head if nothing is known yet.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; connect anew.
    pub async fn read(&mut self, known: Option<LogNumber>) -> Result<LogPage, Unavailable> {
        let known = known.unwrap_or_else(|| LogNumber::new(i64::MAX.cast_unsigned()));
        let rows = self
            .ask(async |link| statements::log::log_page(link, known, PAGE).await)
            .await?;
        LogPage::new(known, &rows)
    }
}

impl LogPage {
    fn new(known: LogNumber, rows: &[LogRow]) -> Result<Self, Unavailable> {
        let first = rows.first().ok_or_else(|| {
            Unavailable::ledger(anyhow::anyhow!("the revocation log has no head"))
        })?;
        Ok(Self {
            known,
            head: Head {
                number: first.head,
                mark: first.head_mark,
            },
            known_mark: first.known_mark,
            known_at: first.known_at,
            now: first.now,
            is_read_only: first.is_read_only,
            recorded_at: rows.iter().filter_map(|row| row.recorded_at).collect(),
            entries: rows.iter().filter_map(LogRow::entry).collect(),
        })
    }

    /// # Errors
    /// [`Unavailable`] if the server takes no writes.
    pub fn of_a_writer(self) -> Result<Self, Unavailable> {
        if self.is_read_only {
            let cause = anyhow::anyhow!("the ledger's server takes no writes");
            return Err(Unavailable::ledger(cause));
        }
        Ok(self)
    }
}
