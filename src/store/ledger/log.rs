//! Reading the revocation log.

use sqlx::{PgConnection, SqliteConnection};

use super::connection::Link;
use super::{Ledger, bounded, statements};
use crate::domain::revocation::{Entry, Head, LogNumber, Mark};
use crate::domain::time::Timestamp;
use crate::store::Unavailable;

const PAGE: i64 = 10_000;

/// A connection of its own, so that a drained pool cannot starve the poll.
pub enum LogReader {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// What the log says, read at one moment.
#[derive(Debug)]
pub struct LogPage {
    pub head: Head,
    /// The mark of the entry the reader asked to go on from; `None` if the log
    /// does not reach it.
    pub known_mark: Option<Mark>,
    /// What follows that entry, in order; there may be more.
    pub entries: Vec<Entry>,
    /// The ledger's clock.
    pub now: Timestamp,
    /// The server replays another's log: what it says may be behind.
    pub in_recovery: bool,
}

impl Ledger {
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn log_reader(&self) -> Result<LogReader, Unavailable> {
        bounded(async {
            match self {
                Self::Postgres(database) => database.dedicated().await.map(LogReader::Postgres),
                Self::Sqlite(database) => database.dedicated().await.map(LogReader::Sqlite),
            }
        })
        .await
    }
}

impl LogReader {
    /// What follows `known`, or only the head if nothing is known yet.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; connect anew.
    pub async fn read(&mut self, known: Option<LogNumber>) -> Result<LogPage, Unavailable> {
        let link = match self {
            Self::Postgres(connection) => Link::Postgres(connection),
            Self::Sqlite(connection) => Link::Sqlite(connection),
        };
        let known = known.unwrap_or_else(|| LogNumber::new(i64::MAX.cast_unsigned()));
        let rows = bounded(statements::log::log_page(link, known, PAGE)).await?;
        let first = rows.first().ok_or_else(|| {
            Unavailable::ledger(anyhow::anyhow!("the revocation log has no head"))
        })?;
        Ok(LogPage {
            head: Head {
                number: first.head,
                mark: first.head_mark,
            },
            known_mark: first.known_mark,
            now: first.now,
            in_recovery: first.in_recovery,
            entries: rows.iter().filter_map(super::rows::LogRow::entry).collect(),
        })
    }
}
