//! Reading the audit log.

use super::Accounts;
use crate::domain::audit::{EventFilter, Recorded};
use crate::domain::id::EventId;
use crate::domain::page::{Page, PageOf};
use crate::store::Unavailable;

impl Accounts {
    /// What was done, the latest first.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn list_events(
        &self,
        filter: EventFilter,
        page: PageOf<EventId>,
    ) -> Result<Page<Recorded, EventId>, Unavailable> {
        self.ledger.list_events(filter, page).await
    }
}
