//! Ending sessions, in this order: the ledger's commit, this instance's view,
//! the hot store, the answer. Without a commit nothing has changed. Begun, it
//! is carried to its end even if the client hangs up, and it is idempotent.

use std::net::IpAddr;
use std::sync::Arc;

use super::Sessions;
use crate::domain::digest::TokenDigest;
use crate::domain::id::SessionId;
use crate::domain::session::Record;
use crate::store::Unavailable;
use crate::store::ledger::Committed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Revoked {
    Done,
    /// There was no such session, or not any more.
    NotFound,
}

impl Sessions {
    /// Ends the session that this token opens; done if there is none.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done, and can be asked for again.
    pub async fn log_out(
        self: &Arc<Self>,
        digest: TokenDigest,
        address: Option<IpAddr>,
    ) -> Result<(), Unavailable> {
        let this = Arc::clone(self);
        self.uncut(async move {
            let act = this.act(None, address);
            if let Some(committed) = this.ledger.log_out(digest, act).await? {
                this.publish(committed).await;
            }
            Ok(())
        })
        .await
    }

    /// Ends one of the user's own sessions.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done, and can be asked for again.
    pub async fn revoke(
        self: &Arc<Self>,
        by: &Record,
        session: SessionId,
        address: Option<IpAddr>,
    ) -> Result<Revoked, Unavailable> {
        let (this, user) = (Arc::clone(self), by.user.id);
        self.uncut(async move {
            let act = this.act(Some(user), address);
            match this.ledger.revoke_session(user, session, act).await? {
                Some(committed) => {
                    this.publish(committed).await;
                    Ok(Revoked::Done)
                }
                None => Ok(Revoked::NotFound),
            }
        })
        .await
    }

    /// Ends the user's sessions but the one that asks; says how many were in
    /// use. `None` if the one that asks has ended itself.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done, and can be asked for again.
    pub async fn revoke_others(
        self: &Arc<Self>,
        by: &Record,
        address: Option<IpAddr>,
    ) -> Result<Option<usize>, Unavailable> {
        let (this, user, spared) = (Arc::clone(self), by.user.id, by.session.id);
        self.uncut(async move {
            let act = this.act(Some(user), address);
            let revoked = this.ledger.revoke_other_sessions(user, spared, act).await?;
            let Some((count, committed)) = revoked else {
                return Ok(None);
            };
            this.publish(committed).await;
            Ok(Some(count))
        })
        .await
    }

    /// Ends all sessions of the user who asks; says how many were in use.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done, and can be asked for again.
    pub async fn revoke_all(
        self: &Arc<Self>,
        by: &Record,
        address: Option<IpAddr>,
    ) -> Result<usize, Unavailable> {
        let (this, user) = (Arc::clone(self), by.user.id);
        self.uncut(async move {
            let act = this.act(Some(user), address);
            let (count, committed) = this.ledger.revoke_all_sessions(user, act).await?;
            this.publish(committed).await;
            Ok(count)
        })
        .await
    }

    /// Makes a committed revocation hold on this instance at once, and drops the
    /// copies. The others hear of it from the log. A copy that cannot be dropped
    /// does no harm: the view speaks against it.
    pub async fn publish(&self, committed: Committed) {
        self.tail.take_in(&committed.appended).await;
        if let Err(error) = self.hot.forget(&committed.ended).await {
            tracing::warn!(%error, "dead copies were left behind");
        }
    }
}
