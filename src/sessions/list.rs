//! Where a user is logged in.

use super::Sessions;
use crate::domain::id::UserId;
use crate::domain::session::Session;
use crate::store::Unavailable;

impl Sessions {
    /// The user's live sessions, newest first.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn list(&self, user: UserId) -> Result<Vec<Session>, Unavailable> {
        self.ledger.list_sessions(user, self.clock.now()).await
    }
}
