//! Whose session is this? The question every request asks.

use std::sync::Arc;
use std::time::Duration;

use super::Sessions;
use crate::domain::digest::TokenDigest;
use crate::domain::session::Record;
use crate::domain::verdict::{Source, Verdict};
use crate::store::Unavailable;

/// How long a check waits for its turn to ask the ledger.
const LEDGER_TURN: Duration = Duration::from_millis(500);

/// A copy read from the ledger can be outdated by the time the view is asked;
/// one that is so each time is no copy to decide by.
const LEDGER_ATTEMPTS: usize = 3;

impl Sessions {
    /// The live session under that digest. `None` is a definite no.
    ///
    /// While the view is fresh, a copy in the hot store is enough. Whatever that
    /// cannot decide, the ledger does.
    ///
    /// # Errors
    /// [`Unavailable`] if nobody can tell.
    pub async fn check(&self, digest: &TokenDigest) -> Result<Option<Arc<Record>>, Unavailable> {
        let known = if self.tail.is_fresh() {
            self.find_copy(digest).await
        } else {
            None
        };
        if let Some(record) = &known {
            let now = self.clock.now();
            let verdict = self.tail.verdict(record, Source::HotStore, now);
            // The lease may have ended while the store was asked.
            match verdict {
                Verdict::Alive if self.tail.is_fresh() => {
                    self.touches.note(digest, record, now);
                    return Ok(known);
                }
                Verdict::Ended | Verdict::Expired => return Ok(None),
                Verdict::Alive | Verdict::Idle | Verdict::Stale => {}
            }
        }
        self.check_in_ledger(digest, known).await
    }

    /// The hot store's copy; none if it does not answer.
    async fn find_copy(&self, digest: &TokenDigest) -> Option<Arc<Record>> {
        self.hot.find(digest).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the check goes on with the ledger");
            None
        })
    }

    async fn check_in_ledger(
        &self,
        digest: &TokenDigest,
        known: Option<Arc<Record>>,
    ) -> Result<Option<Arc<Record>>, Unavailable> {
        let turn = tokio::time::timeout(LEDGER_TURN, self.ledger_reads.acquire());
        let turn = turn.await.map_err(Unavailable::task)?;
        for _ in 0..LEDGER_ATTEMPTS {
            let Some(mut record) = self.ledger.find_session(digest).await? else {
                return Ok(None);
            };
            // The hot store hears of a session being seen before the ledger does.
            if let Some(known) = &known {
                let seen_at = record.session.last_seen_at.max(known.session.last_seen_at);
                record.session.last_seen_at = seen_at;
            }
            let now = self.clock.now();
            match self.tail.verdict(&record, Source::Ledger, now) {
                Verdict::Alive => {
                    drop(turn);
                    let record = Arc::new(record);
                    self.keep(digest, &record).await;
                    self.touches.note(digest, &record, now);
                    return Ok(Some(record));
                }
                Verdict::Ended | Verdict::Expired | Verdict::Idle => return Ok(None),
                Verdict::Stale => {}
            }
        }
        Err(Unavailable::task(anyhow::anyhow!(
            "the session changes faster than it can be read"
        )))
    }

    /// Keeps a copy; without one, the next check asks the ledger.
    pub(super) async fn keep(&self, digest: &TokenDigest, record: &Arc<Record>) {
        if let Err(error) = self.hot.keep(digest, record, self.clock.now()).await {
            tracing::warn!(%error, "a copy was not kept");
        }
    }
}
