//! Whose session is this? The question every request asks.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::Sessions;
use super::clock::uptime;
use crate::domain::digest::TokenDigest;
use crate::domain::session::Record;
use crate::domain::time::Timestamp;
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
    pub async fn check(
        self: &Arc<Self>,
        digest: &TokenDigest,
    ) -> Result<Option<Arc<Record>>, Unavailable> {
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
            tracing::debug!(%error, "the check goes on with the ledger");
            None
        })
    }

    /// What the ledger says, asked together with whoever else asks for this session.
    /// What was read before this request began, or longer than a lease ago, counts
    /// only while the view is fresh, which then knows what was revoked in between.
    async fn check_in_ledger(
        self: &Arc<Self>,
        digest: &TokenDigest,
        known: Option<Arc<Record>>,
    ) -> Result<Option<Arc<Record>>, Unavailable> {
        let asked_at = uptime();
        for _ in 0..LEDGER_ATTEMPTS {
            if self.tail.is_void() {
                break;
            }
            let landed = self.fly(digest, known.as_ref()).await;
            if landed.begun_at < asked_at && !self.tail.is_fresh() {
                continue;
            }
            let Some(record) = landed.outcome? else {
                return Ok(None);
            };
            let (record, now) = (seen(record, known.as_ref()), self.clock.now());
            let verdict = self.tail.verdict(&record, Source::Ledger, now);
            // A process that was frozen may find an old answer waiting.
            let is_recent = uptime().since(landed.begun_at) < self.policy.lease;
            match verdict {
                Verdict::Alive if is_recent || self.tail.is_fresh() => {
                    self.touches.note(digest, &record, now);
                    return Ok(Some(record));
                }
                Verdict::Ended | Verdict::Expired | Verdict::Idle => return Ok(None),
                Verdict::Alive => {}
                // Another log, maybe: the poll finds out.
                Verdict::Stale => self.tail.ask(),
            }
        }
        Err(Unavailable::task(anyhow!(
            "nobody can tell: the session or the log changes faster than it can be read"
        )))
    }

    /// Reads a session from the ledger, and keeps a copy of one that lives.
    pub(super) async fn read_ledger(
        &self,
        digest: &TokenDigest,
        known: Option<&Arc<Record>>,
    ) -> Result<Option<Arc<Record>>, Unavailable> {
        let turn = tokio::time::timeout(LEDGER_TURN, self.ledger_reads.acquire());
        let turn = turn.await.map_err(Unavailable::task)?;
        let Some(record) = self.ledger.find_session(digest).await? else {
            return Ok(None);
        };
        drop(turn);
        let (record, now) = (seen(Arc::new(record), known), self.clock.now());
        if self.is_alive(&record, now) {
            self.keep(digest, &record).await;
        }
        Ok(Some(record))
    }

    fn is_alive(&self, record: &Record, now: Timestamp) -> bool {
        self.tail.verdict(record, Source::Ledger, now) == Verdict::Alive
    }

    /// Keeps a copy; without one, the next check asks the ledger.
    pub(super) async fn keep(&self, digest: &TokenDigest, record: &Arc<Record>) {
        if let Err(error) = self.hot.keep(digest, record, self.clock.now()).await {
            tracing::debug!(%error, "a copy was not kept");
        }
    }
}

/// The hot store hears of a session being seen before the ledger does.
fn seen(record: Arc<Record>, known: Option<&Arc<Record>>) -> Arc<Record> {
    match known {
        Some(known) if known.session.last_seen_at > record.session.last_seen_at => {
            let mut seen = Record::clone(&record);
            seen.session.last_seen_at = known.session.last_seen_at;
            Arc::new(seen)
        }
        _ => record,
    }
}
