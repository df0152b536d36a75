//! What no view has at hand, read from the ledger once for all streams that go on from
//! the same entry: after a restart, that is everyone's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::event::Batch;
use super::{AT_ONCE, Inner};
use crate::domain::revocation::{Head, Position};
use crate::store::Unavailable;

/// About 5 MiB.
const KEPT: usize = 256;

/// Who comes within that begins with the same minutes.
const TOGETHER: Duration = Duration::from_secs(5);

/// How long nobody asks again whether the log has gone on.
const MOMENT: Duration = Duration::from_millis(250);

/// Of a log that was not set back meanwhile.
pub(super) struct Pages {
    read: Cache<Head, Page>,
    /// Of who came at about the same time.
    beginnings: Cache<u128, Head>,
    since: Instant,
}

#[derive(Clone)]
enum Page {
    Entries(Arc<Batch>),
    /// The log ended there.
    EndAt(Instant),
}

/// Why there is no page.
pub(super) enum NoPage {
    /// The log does not have that entry.
    Unknown,
    Unavailable(Unavailable),
}

impl From<Unavailable> for NoPage {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

impl Page {
    fn is_over(&self) -> bool {
        matches!(self, Self::EndAt(then) if then.elapsed() > MOMENT)
    }
}

impl Pages {
    pub(super) fn new() -> Self {
        Self {
            read: Cache::new(KEPT),
            beginnings: Cache::new(KEPT),
            since: Instant::now(),
        }
    }

    /// What follows that entry, and may be less than there is; `None` if the log ends
    /// there, or did a moment ago.
    pub(super) async fn after(
        &self,
        feed: &Inner,
        known: Head,
    ) -> Result<Option<Arc<Batch>>, NoPage> {
        let read = async {
            let after = Position {
                number: known.number,
                mark: Some(known.mark),
            };
            let extract = feed.read(Some(after), AT_ONCE).await?;
            let extract = extract.ok_or(NoPage::Unknown)?;
            let batch = Batch::new(known, &extract.entries).map(Arc::new);
            let page = batch.map_or_else(|| Page::EndAt(Instant::now()), Page::Entries);
            Ok::<_, NoPage>(page)
        };
        self.read.remove_if(&known, Page::is_over);
        match self.read.get_or_insert_async(&known, read).await? {
            Page::Entries(batch) => Ok(Some(batch)),
            Page::EndAt(_) => Ok(None),
        }
    }

    /// Where the last minutes begin.
    pub(super) async fn beginning(&self, feed: &Inner) -> Result<Head, NoPage> {
        let now = self.since.elapsed().as_millis() / TOGETHER.as_millis();
        let look_up = async { feed.look_up(None).await?.ok_or(NoPage::Unknown) };
        self.beginnings.get_or_insert_async(&now, look_up).await
    }
}
