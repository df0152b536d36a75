//! The revocation log for other services, which refuse what it has ended without asking
//! for each session.

use std::time::Duration;

use tokio::sync::watch;

use super::Sessions;
use crate::domain::jwt::MAX_LIFETIME;
use crate::domain::revocation::{Entry, Head, Position};
use crate::domain::time::Timestamp;
use crate::store::Unavailable;
use crate::store::ledger::Since;

/// What no living JWT is older than, and a minute for clocks.
const WINDOW: Duration = MAX_LIFETIME.saturating_add(Duration::from_mins(1));

/// A part of the log.
#[derive(Debug)]
pub struct Extract {
    /// The entry before the first.
    pub after: Head,
    pub entries: Vec<Entry>,
    /// The log's head when this was read; it may be farther than the last entry.
    pub head: Head,
    /// When, on the ledger's clock.
    pub at: Timestamp,
}

/// How far this instance's view vouches for the log.
#[derive(Clone, Copy, Debug)]
pub struct Vouching {
    pub head: Head,
    /// How long it can be relied on that there was nothing else.
    pub lasts: Duration,
}

impl Sessions {
    /// Reads up to `limit` entries after a position, or of the last minutes, from the
    /// ledger. `None` if the log does not have that position.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn read_log(
        &self,
        after: Option<Position>,
        limit: u16,
    ) -> Result<Option<Extract>, Unavailable> {
        let since = after.map_or(Since::Ago(WINDOW), |after| Since::Entry(after.number));
        let page = self.ledger.read_log(since, limit).await?;
        let given = after.and_then(|after| after.mark);
        let mark = page
            .known_mark
            .filter(|mark| given.is_none_or(|it| it == *mark));
        Ok(mark.map(|mark| Extract {
            after: Head {
                number: page.known,
                mark,
            },
            entries: page.entries,
            head: page.head,
            at: page.now,
        }))
    }

    /// Where this instance's view stands; `None` while the log has been set back.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        (!self.tail.is_void()).then(|| self.tail.head())
    }

    /// Changes whenever [`Sessions::latest_after`] or [`Sessions::vouches`] may.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<()> {
        self.tail.news()
    }

    /// Up to `limit` entries that this instance's view has taken in after `known`. `None`
    /// if that is too long ago, or no entry of the log as it is now.
    #[must_use]
    pub fn latest_after(&self, known: Head, limit: usize) -> Option<Vec<Entry>> {
        if self.tail.is_void() {
            return None;
        }
        self.tail.latest_after(known, limit)
    }

    /// How long it can be relied on that the view knows all; zero while it is not fresh.
    #[must_use]
    pub fn is_fresh_for(&self) -> Duration {
        self.tail.is_fresh_for()
    }

    /// `None` while the view is not fresh.
    #[must_use]
    pub fn vouches(&self) -> Option<Vouching> {
        let lasts = self.is_fresh_for();
        (!lasts.is_zero()).then(|| Vouching {
            head: self.tail.head(),
            lasts,
        })
    }
}
