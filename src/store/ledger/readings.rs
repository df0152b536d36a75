//! How the connections stand, and how many sessions there are.

use super::{Ledger, statements};
use crate::store::{Unavailable, standing};
use crate::telemetry::metrics::{Pool, Reading};

impl Ledger {
    /// How the pool stands; of SQLite, that of the readers.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        match self {
            Self::Postgres(database) => {
                let status = database.pool().status();
                let idle = status.available;
                let in_use = status.size.saturating_sub(idle);
                standing(Pool::Ledger, idle, in_use, status.max_size, status.waiting)
            }
            Self::Sqlite(database) => {
                let readers = database.readers();
                let idle = readers.num_idle();
                let all = usize::try_from(readers.size()).unwrap_or(usize::MAX);
                let limit = readers.options().get_max_connections();
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                standing(Pool::Ledger, idle, all.saturating_sub(idle), limit, 0)
            }
        }
    }

    /// How many sessions there are, dead ones included until they are swept up. Exact if
    /// they are few; a million are not counted each time somebody asks.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn estimate_sessions(&self) -> Result<u64, Unavailable> {
        let number = self.read(async |link| statements::sessions::estimate(link).await);
        Ok(u64::try_from(number.await?).unwrap_or(0))
    }
}
