//! Ending sessions, in this order: the ledger's commit, this instance's view,
//! the hot store, the answer. Without a commit nothing has changed. Begun, it
//! is carried to its end even if the client hangs up, and it is idempotent.

use std::sync::Arc;
use std::time::Instant;

use super::Sessions;
use crate::domain::audit::{Act, Action};
use crate::domain::digest::TokenDigest;
use crate::domain::id::{SessionId, UserId};
use crate::domain::instance::LONGEST_LEASE;
use crate::domain::session::{Record, Selection};
use crate::domain::text::Line;
use crate::domain::time::Timestamp;
use crate::domain::verdict::{FoundIn, Verdict};
use crate::store::Unavailable;
use crate::store::ledger::{Committed, Opened};
use crate::telemetry::traces::STEPS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Revoked {
    Done,
    /// There was no such session, or not any more.
    NotFound,
}

/// What a filter has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions that nobody had ended and that had not expired.
    pub matched: usize,
    /// Those of them that this has ended; the others ended otherwise meanwhile.
    pub revoked: usize,
}

impl Sessions {
    /// Ends the session that this token opens, if there is one.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done, and can be asked for again.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn log_out(
        self: &Arc<Self>,
        digest: TokenDigest,
        act: Act,
    ) -> Result<Revoked, Unavailable> {
        let this = Arc::clone(self);
        self.uncut(async move {
            let opened = this.opened(digest).await;
            let Some(committed) = this.ledger.log_out(opened, act).await? else {
                return Ok(Revoked::NotFound);
            };
            this.publish(committed).await;
            Ok(Revoked::Done)
        })
        .await
    }

    /// What a token opens, by the ledger or else by a copy that nobody has ended. The
    /// ledger may have lost what copies still show: it deletes what was not used for
    /// long, and touches can be late for as long.
    async fn opened(&self, digest: TokenDigest) -> Opened {
        let local = self.local.find(&digest);
        let copy = match local {
            Some(copy) => Some(copy),
            None => self.find_copy(&digest).await,
        };
        let now = self.clock.now();
        let copy = copy.filter(|copy| {
            let verdict = self.tail.verdict(copy, FoundIn::Copy, now);
            !matches!(verdict, Verdict::Ended | Verdict::Expired)
        });
        Opened {
            digest,
            copy: copy.map(|copy| (copy.session.user_id, copy.session.id)),
        }
    }

    /// What the token opens that a browser had before it logs in, if it had one.
    pub async fn presented(&self, digest: Option<TokenDigest>) -> Option<Opened> {
        Some(self.opened(digest?).await)
    }

    /// Ends one session of a user.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done, and can be asked for again.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn revoke(
        self: &Arc<Self>,
        user: UserId,
        session: SessionId,
        act: Act,
    ) -> Result<Revoked, Unavailable> {
        let this = Arc::clone(self);
        self.uncut(async move {
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

    /// Ends one session, whosever it is.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done, and can be asked for again.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn revoke_anyones(
        self: &Arc<Self>,
        session: SessionId,
        act: Act,
    ) -> Result<Revoked, Unavailable> {
        match self.ledger.owner_of(session).await? {
            Some(user) => self.revoke(user, session, act).await,
            None => Ok(Revoked::NotFound),
        }
    }

    /// Ends the user's sessions but the one that asks; says how many were in
    /// use. `None` if the one that asks has ended itself.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done, and can be asked for again.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn revoke_others(
        self: &Arc<Self>,
        by: &Record,
        act: Act,
    ) -> Result<Option<usize>, Unavailable> {
        let (this, user, spared) = (Arc::clone(self), by.session.user_id, by.session.id);
        self.uncut(async move {
            let revoked = this.ledger.revoke_other_sessions(user, spared, act).await?;
            let Some((count, committed)) = revoked else {
                return Ok(None);
            };
            this.publish(committed).await;
            Ok(Some(count))
        })
        .await
    }

    /// Ends all sessions of a user; says how many were in use.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done, and can be asked for again.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn revoke_all(
        self: &Arc<Self>,
        user: UserId,
        reason: Option<Line>,
        act: Act,
    ) -> Result<usize, Unavailable> {
        let this = Arc::clone(self);
        self.uncut(async move {
            let revoked = this.ledger.revoke_all_sessions(user, reason, act);
            let (count, committed) = revoked.await?;
            this.publish(committed).await;
            Ok(count)
        })
        .await
    }

    /// Ends the sessions that a filter is for, step by step, and tells after each how
    /// far it has come.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer, or the process ends; some may
    /// have been ended, and it can be asked for again.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn revoke_matching(
        self: &Arc<Self>,
        selection: Selection,
        reason: Option<Line>,
        act: Act,
        mut told: impl FnMut(Swept) + Send + 'static,
    ) -> Result<Swept, Unavailable> {
        let this = Arc::clone(self);
        self.uncut(async move {
            let asked = act.did_to_nobody(Action::MatchingSessionsRevoked);
            let asked = asked.with(selection.filter().to_string());
            this.ledger.record(&asked.because(reason.clone())).await?;
            let (mut swept, mut after) = (Swept::default(), None);
            loop {
                let begun = Instant::now();
                let act = Act {
                    at: this.clock.now(),
                    ..act
                };
                let step = this
                    .ledger
                    .revoke_matching(&selection, after, reason.as_ref(), act);
                let (batch, committed) = step.await?;
                swept.matched += batch.matched;
                swept.revoked += committed.ended.len();
                this.publish(committed).await;
                told(swept);
                after = batch.next;
                if after.is_none() {
                    return Ok(swept);
                }
                if this.tasks.is_closed() {
                    return Err(Unavailable::task(anyhow::anyhow!("the process ends")));
                }
                // Half of the time is everybody else's.
                tokio::time::sleep(begun.elapsed()).await;
            }
        })
        .await
    }

    /// How many sessions [`Sessions::revoke_matching`] would end.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn count_matching(&self, selection: &Selection) -> Result<usize, Unavailable> {
        let now = self.clock.now();
        let (mut matched, mut after) = (0, None);
        loop {
            let batch = self.ledger.count_matching(selection, after, now).await?;
            matched += batch.matched;
            after = batch.next;
            if after.is_none() {
                return Ok(matched);
            }
        }
    }

    /// Ends everyone's sessions, however many there are.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done, and can be asked for again.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn revoke_everyone(
        self: &Arc<Self>,
        reason: Option<Line>,
        act: Act,
    ) -> Result<(), Unavailable> {
        let this = Arc::clone(self);
        self.uncut(async move {
            let committed = this.ledger.revoke_everyone(reason, act).await?;
            this.publish(committed).await;
            Ok(())
        })
        .await
    }

    /// From when on no instance accepts what has been ended by now, whatever has
    /// broken: an instance that has not heard of it by then believes no copy.
    #[must_use]
    pub fn effective_at(&self) -> Timestamp {
        self.clock.now() + LONGEST_LEASE
    }

    /// Makes a committed revocation hold on this instance at once, and drops the
    /// copies. The others hear of it from the log. A copy that cannot be dropped
    /// does no harm: the view speaks against it.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn publish(&self, committed: Committed) {
        let Committed { appended, ended } = committed;
        self.tail.take_in(&appended).await;
        tokio::join!(self.forget(ended), self.tail.tell(appended));
    }
}
