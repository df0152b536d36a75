//! Where users are logged in.

use super::Sessions;
use crate::domain::id::{SessionId, UserId};
use crate::domain::page::{Page, PageOf};
use crate::domain::session::{Session, SessionFilter};
use crate::store::Unavailable;
use crate::telemetry::traces::STEPS;

impl Sessions {
    /// The user's live sessions, newest first.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn list(&self, user: UserId) -> Result<Vec<Session>, Unavailable> {
        self.ledger.list_sessions(user, self.clock.now()).await
    }

    /// Anybody's live sessions that the filter is for, newest first.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn list_all(
        &self,
        filter: &SessionFilter,
        page: PageOf<SessionId>,
    ) -> Result<Page<Session, SessionId>, Unavailable> {
        let now = self.clock.now();
        self.ledger.list_all_sessions(filter, now, page).await
    }

    /// One live session, whosever it is.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn find(&self, session: SessionId) -> Result<Option<Session>, Unavailable> {
        self.ledger.session(session, self.clock.now()).await
    }
}
