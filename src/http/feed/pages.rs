//! What no view has at hand, read from the ledger once for all streams that go on from
//! the same entry: after a restart, that is everyone's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::event::Batch;
use super::{AT_ONCE, Inner};
use crate::domain::revocation::{Head, Position};
use crate::domain::time::Timestamp;
use crate::store::Unavailable;

/// About 5 MiB.
const KEPT: usize = 256;

/// Who comes within that begins with the same minutes.
const TOGETHER: Duration = Duration::from_secs(5);

/// Of a log that was not set back meanwhile.
pub(super) struct Pages {
    pages: Cache<Head, Arc<Batch>>,
    /// Of who came at about the same time.
    beginnings: Cache<u128, Beginning>,
    since: Instant,
}

/// Where a stream begins.
#[derive(Clone, Copy)]
pub(super) struct Beginning {
    pub(super) after: Head,
    /// When, on the ledger's clock.
    pub(super) at: Timestamp,
}

/// Why there is no page.
pub(super) enum NoPage {
    /// The log ends there.
    End,
    /// The log does not have that entry.
    Unknown,
    Unavailable(Unavailable),
}

impl From<Unavailable> for NoPage {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

impl Pages {
    pub(super) fn new() -> Self {
        Self {
            pages: Cache::new(KEPT),
            beginnings: Cache::new(KEPT),
            since: Instant::now(),
        }
    }

    /// What follows that entry; it may be less than there is.
    pub(super) async fn after(&self, feed: &Inner, known: Head) -> Result<Arc<Batch>, NoPage> {
        let read = async {
            let after = Position {
                number: known.number,
                mark: Some(known.mark),
            };
            let extract = feed.read(Some(after), AT_ONCE).await?;
            let extract = extract.ok_or(NoPage::Unknown)?;
            let batch = Batch::new(known, &extract.entries);
            batch.map(Arc::new).ok_or(NoPage::End)
        };
        self.pages.get_or_insert_async(&known, read).await
    }

    /// Where the last minutes begin.
    pub(super) async fn beginning(&self, feed: &Inner) -> Result<Beginning, NoPage> {
        let now = self.since.elapsed().as_millis() / TOGETHER.as_millis();
        let look_up = async { feed.look_up(None).await?.ok_or(NoPage::Unknown) };
        self.beginnings.get_or_insert_async(&now, look_up).await
    }
}
