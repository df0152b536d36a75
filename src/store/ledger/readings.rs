//! How the connections stand, and how many sessions there are.

use super::{Ledger, statements};
use crate::store::Unavailable;
use crate::telemetry::metrics::{Pool, Reading};

impl Ledger {
    /// How the pool stands; of SQLite, that of the readers.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        let standing = match self {
            Self::Postgres(database) => database.standing(),
            Self::Sqlite(database) => database.standing(),
        };
        standing.readings(Pool::Ledger)
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
