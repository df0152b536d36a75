//! Use cases of the audit log: reading it, and forgetting what is old.

use super::{Ledger, statements};
use crate::domain::audit::{Event, EventFilter, Recorded};
use crate::domain::id::EventId;
use crate::domain::page::{Page, PageOf};
use crate::domain::time::Timestamp;
use crate::store::Unavailable;

impl Ledger {
    /// What was done, the latest first.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn list_events(
        &self,
        filter: EventFilter,
        page: PageOf<EventId>,
    ) -> Result<Page<Recorded, EventId>, Unavailable> {
        let rows = self.read(async |link| statements::lists::events(link, filter, &page).await);
        let events = rows.await?.into_iter().map(Recorded::from).collect();
        Ok(Page::cut(events, page.limit, |event: &Recorded| event.id))
    }

    /// What was done, the oldest first: up to `limit` of what came after an event.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn events_after(
        &self,
        filter: EventFilter,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<Recorded>, Unavailable> {
        let rows = self.read(async |link| {
            statements::lists::events_after(link, filter, after, limit.into()).await
        });
        Ok(rows.await?.into_iter().map(Recorded::from).collect())
    }

    /// Writes down an act that changes nothing by itself.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn record(&self, event: &Event) -> Result<(), Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            statements::log::insert_event(tx.link(), event).await?;
            tx.commit(&[]).await?;
            Ok(())
        })
        .await
    }

    /// Whether this instance is the one to do what has not been done since `due`.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn begin_chores(&self, now: Timestamp, due: Timestamp) -> Result<bool, Unavailable> {
        self.write(async |link| Ok(statements::chores::begin(link, now, due).await? > 0))
            .await
    }

    /// Deletes up to `limit` events older than that; says how many.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn delete_events(&self, before: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        self.write(async |link| statements::log::delete_events(link, before, limit.into()).await)
            .await
    }
}
