//! What those hear of the log who follow it along with this instance.

use std::time::Duration;

use tokio::sync::watch;

use super::Tail;
use crate::clocks::uptime;
use crate::domain::revocation::{Entry, Head};

/// How many entries are kept as they came, for those who follow.
pub(super) const KEPT: usize = 16 * 1024;

impl Tail {
    /// Changes whenever the view may have.
    pub(in crate::sessions) fn news(&self) -> watch::Receiver<()> {
        self.shared.news.subscribe()
    }

    pub(in crate::sessions) fn head(&self) -> Head {
        self.shared.head()
    }

    /// Up to `limit` entries that the view has taken in after `known`; `None` if they
    /// are not at hand, or that is of another log.
    pub(in crate::sessions) fn latest_after(
        &self,
        known: Head,
        limit: usize,
    ) -> Option<Vec<Entry>> {
        let view = self.shared.view();
        let entries = view.latest_after(known)?.take(limit).copied();
        Some(entries.collect())
    }

    /// For how long the view is believed, as things stand.
    pub(in crate::sessions) fn is_fresh_for(&self) -> Duration {
        self.shared.is_fresh_for(uptime())
    }
}
