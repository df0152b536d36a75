//! Whose session is this? The question every request asks.
//!
//! The local cache answers most of the time, then the hot store, then the ledger:
//! each only what the one before could not decide.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::Sessions;
use crate::clocks::uptime;
use crate::domain::digest::TokenDigest;
use crate::domain::session::Record;
use crate::domain::time::Timestamp;
use crate::domain::token::Claim;
use crate::domain::verdict::{FoundIn, Verdict};
use crate::store::Unavailable;
use crate::telemetry::metrics::{CHECKS, CheckOutcome, CheckSource, FALLBACKS, Fallback};
use crate::telemetry::traces::STEPS;

/// How long a check waits for its turn to ask the ledger.
const LEDGER_TURN: Duration = Duration::from_millis(500);

/// A copy read from the ledger can be outdated by the time the view is asked;
/// one that is so each time is no copy to decide by.
const LEDGER_ATTEMPTS: usize = 3;

/// What a copy is worth.
enum Opinion {
    Live(Arc<Record>),
    Dead,
    /// Ask elsewhere. The copy, if there is one, may know when the session was seen.
    Undecided(Option<Arc<Record>>),
}

/// What the ledger has decided.
enum Answer {
    Live(Arc<Record>),
    Ended,
    Unknown,
}

impl Answer {
    fn into_record(self) -> Option<Arc<Record>> {
        match self {
            Self::Live(record) => Some(record),
            Self::Ended | Self::Unknown => None,
        }
    }
}

impl Sessions {
    /// The live session that a claim opens. `None` is a definite no.
    ///
    /// What the local cache knows was genuine when it came there, and is so as long as
    /// its key is on the ring; whether anything else is, is found out before anybody is
    /// asked for it.
    ///
    /// # Errors
    /// [`Unavailable`] if nobody can tell.
    pub async fn recognise(
        self: &Arc<Self>,
        claim: &Claim,
    ) -> Result<Option<Arc<Record>>, Unavailable> {
        if !claim.has_key_of(&self.keys) {
            CHECKS.count((CheckSource::Token, CheckOutcome::Forged));
            return Ok(None);
        }
        self.check_if(&claim.digest(), || claim.is_genuine(&self.keys))
            .await
    }

    /// The live session under the digest of a genuine token. `None` is a definite no.
    ///
    /// # Errors
    /// [`Unavailable`] if nobody can tell.
    pub async fn check(
        self: &Arc<Self>,
        digest: &TokenDigest,
    ) -> Result<Option<Arc<Record>>, Unavailable> {
        self.check_if(digest, || true).await
    }

    async fn check_if(
        self: &Arc<Self>,
        digest: &TokenDigest,
        is_genuine: impl FnOnce() -> bool,
    ) -> Result<Option<Arc<Record>>, Unavailable> {
        match self.judge(digest, self.local.find(digest)) {
            Opinion::Live(record) => {
                CHECKS.count((CheckSource::Cache, CheckOutcome::Alive));
                Ok(Some(record))
            }
            Opinion::Dead => {
                CHECKS.count((CheckSource::Cache, CheckOutcome::Ended));
                Ok(None)
            }
            // Boxed: it is large, and seldom needed.
            Opinion::Undecided(known) if is_genuine() => {
                Box::pin(self.check_elsewhere(digest, known)).await
            }
            Opinion::Undecided(_) => {
                CHECKS.count((CheckSource::Token, CheckOutcome::Forged));
                Ok(None)
            }
        }
    }

    #[tracing::instrument(name = "check", target = STEPS, skip_all)]
    async fn check_elsewhere(
        self: &Arc<Self>,
        digest: &TokenDigest,
        known: Option<Arc<Record>>,
    ) -> Result<Option<Arc<Record>>, Unavailable> {
        if self.local.is_over(digest, self.tail.era()) {
            CHECKS.count((CheckSource::Cache, CheckOutcome::Unknown));
            return Ok(None);
        }
        let found = if self.tail.is_fresh() {
            self.find_copy(digest).await
        } else {
            FALLBACKS.count(Fallback::ViewStale);
            None
        };
        let found = match self.judge(digest, found) {
            Opinion::Live(record) => {
                CHECKS.count((CheckSource::HotStore, CheckOutcome::Alive));
                self.local.keep(digest, &record);
                return Ok(Some(record));
            }
            Opinion::Dead => {
                CHECKS.count((CheckSource::HotStore, CheckOutcome::Ended));
                return Ok(None);
            }
            Opinion::Undecided(found) => found,
        };
        // Boxed: it is large, and most of this is not about it.
        let decided = Box::pin(self.check_in_ledger(digest, later_seen(known, found))).await;
        CHECKS.count((CheckSource::Ledger, outcome_of(&decided)));
        Ok(decided?.into_record())
    }

    /// While the view is fresh, a copy is enough to know that a session lives.
    /// Whether one is idle, no copy can tell: another may know of a later touch.
    fn judge(&self, digest: &TokenDigest, copy: Option<Arc<Record>>) -> Opinion {
        let Some(record) = copy else {
            return Opinion::Undecided(None);
        };
        let now = self.clock.now();
        match self.tail.verdict(&record, FoundIn::Copy, now) {
            // Asked last: the lease may have ended while the copy was fetched.
            Verdict::Alive if self.tail.is_fresh() => {
                Opinion::Live(self.noted(digest, record, now))
            }
            Verdict::Ended | Verdict::Expired => Opinion::Dead,
            Verdict::Alive | Verdict::Idle | Verdict::Stale => Opinion::Undecided(Some(record)),
        }
    }

    /// The hot store's copy; none if it does not answer.
    pub(super) async fn find_copy(&self, digest: &TokenDigest) -> Option<Arc<Record>> {
        match self.hot.as_ref()?.find(digest).await {
            Ok(found) => found.map(|record| self.local.copy_of(record)),
            Err(error) => {
                FALLBACKS.count(Fallback::HotStoreSilent);
                tracing::debug!(%error, "the check goes on with the ledger");
                None
            }
        }
    }

    /// What the ledger says, asked together with whoever else asks for this session.
    /// What was read before this request began, or longer than a lease ago, counts
    /// only while the view is fresh, which then knows what was revoked in between.
    async fn check_in_ledger(
        self: &Arc<Self>,
        digest: &TokenDigest,
        known: Option<Arc<Record>>,
    ) -> Result<Answer, Unavailable> {
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
                return Ok(Answer::Unknown);
            };
            let (record, now) = (seen(record, known.as_ref()), self.clock.now());
            let verdict = self.tail.verdict(&record, FoundIn::Ledger, now);
            // A process that was frozen may find an old answer waiting.
            let is_recent = uptime().since(landed.begun_at) < self.policy.lease;
            match verdict {
                Verdict::Alive if is_recent || self.tail.is_fresh() => {
                    return Ok(Answer::Live(self.noted(digest, record, now)));
                }
                Verdict::Ended | Verdict::Expired | Verdict::Idle => return Ok(Answer::Ended),
                Verdict::Alive => {}
                // Another log, maybe: the poll finds out.
                Verdict::Stale => self.tail.ask(),
            }
        }
        Err(Unavailable::task(anyhow!(
            "nobody can tell: the session or the log changes faster than it can be read"
        )))
    }

    /// Reads a session from the ledger, and keeps a copy here of one that lives.
    pub(super) async fn read_ledger(
        &self,
        digest: &TokenDigest,
        known: Option<&Arc<Record>>,
    ) -> Result<Option<Arc<Record>>, Unavailable> {
        let turn = tokio::time::timeout(LEDGER_TURN, self.ledger_reads.acquire());
        let turn = turn.await.map_err(Unavailable::task)?;
        let era = self.tail.era();
        let Some(record) = self.ledger.find_session(digest).await? else {
            self.local.keep_over(digest, era);
            return Ok(None);
        };
        drop(turn);
        let (record, now) = (seen(self.local.copy_of(record), known), self.clock.now());
        match self.tail.verdict(&record, FoundIn::Ledger, now) {
            Verdict::Alive => self.local.keep(digest, &record),
            Verdict::Expired => self.local.keep_over(digest, era),
            // Somebody else may know of a later touch, or the next read of another log.
            Verdict::Idle | Verdict::Ended | Verdict::Stale => {}
        }
        Ok(Some(record))
    }

    pub(super) fn is_alive(&self, record: &Record, found_in: FoundIn, now: Timestamp) -> bool {
        self.tail.verdict(record, found_in, now) == Verdict::Alive
    }

    /// Keeps copies, here and in the hot store; without one, the next check asks
    /// the ledger.
    pub(super) async fn keep(&self, digest: &TokenDigest, record: &Arc<Record>) {
        self.local.keep(digest, record);
        self.keep_for_others(digest, record).await;
    }

    /// Keeps a copy in the hot store.
    pub(super) async fn keep_for_others(&self, digest: &TokenDigest, record: &Arc<Record>) {
        if let Some(hot) = &self.hot
            && let Err(error) = hot.keep(digest, record, self.clock.now()).await
        {
            FALLBACKS.count(Fallback::CopyNotKept);
            tracing::debug!(%error, "a copy was not kept");
        }
    }
}

const fn outcome_of(decided: &Result<Answer, Unavailable>) -> CheckOutcome {
    match decided {
        Ok(Answer::Live(_)) => CheckOutcome::Alive,
        Ok(Answer::Ended) => CheckOutcome::Ended,
        Ok(Answer::Unknown) => CheckOutcome::Unknown,
        Err(_) => CheckOutcome::Unavailable,
    }
}

/// The hot store hears of a session being seen before the ledger does.
fn seen(record: Arc<Record>, known: Option<&Arc<Record>>) -> Arc<Record> {
    match known {
        Some(known) if known.session.last_seen_at > record.session.last_seen_at => {
            Arc::new(record.seen_at(known.session.last_seen_at))
        }
        _ => record,
    }
}

fn later_seen(one: Option<Arc<Record>>, other: Option<Arc<Record>>) -> Option<Arc<Record>> {
    one.into_iter()
        .chain(other)
        .max_by_key(|copy| copy.session.last_seen_at)
}
