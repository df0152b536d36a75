//! When a session was last seen, without a write per request: what is due is noted,
//! merged, and written in batches, within half a second, or at once if the session
//! would end soon. What a store does not take is tried again. A touch never creates.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, TryStreamExt as _};
use tokio::sync::Notify;

use super::Sessions;
use crate::domain::digest::TokenDigest;
use crate::domain::id::SessionId;
use crate::domain::session::Record;
use crate::domain::time::Timestamp;
use crate::domain::verdict::FoundIn;
use crate::store::Unavailable;
use crate::store::hot::{HotStore, Touch};
use crate::store::ledger::Touched;
use crate::telemetry::metrics::{FALLBACKS, Fallback};

const FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// How many touches one statement, or one pipeline, carries.
const BATCH: usize = 500;
/// How many lost copies are kept anew at once.
const KEPT_AT_ONCE: usize = 8;
/// How many touches wait for a store that does not take them. Those beyond are of
/// sessions that end a little early if nothing more is heard of them.
const WAITING: usize = 100_000;

type Seen = (TokenDigest, Arc<Record>);

pub(super) struct Touches {
    for_ledger: Due,
    for_hot_store: Due,
    are_told: AtomicBool,
    /// Somebody else may be asked in a moment, and not know yet.
    flush_now: Notify,
    /// Held while touches are written, so that the last flush waits for those before.
    flushing: tokio::sync::Mutex<()>,
}

impl Touches {
    pub(super) fn new() -> Self {
        Self {
            for_ledger: Due::default(),
            for_hot_store: Due::default(),
            are_told: AtomicBool::new(true),
            flush_now: Notify::new(),
            flushing: tokio::sync::Mutex::default(),
        }
    }
}

/// Who is told of touches.
#[derive(Clone, Copy)]
enum Store<'a> {
    Ledger,
    Hot(&'a HotStore),
}

/// Copies that show when the session was seen: of each, the latest.
#[derive(Default)]
struct Due(Mutex<HashMap<TokenDigest, Arc<Record>>>);

impl Due {
    fn add(&self, touches: &[Seen]) {
        let mut due = self.lock();
        for (digest, record) in touches {
            let is_news = match due.get(digest) {
                Some(noted) => noted.session.last_seen_at <= record.session.last_seen_at,
                None => due.len() < WAITING,
            };
            if is_news {
                due.insert(*digest, Arc::clone(record));
            }
        }
    }

    fn take(&self) -> Vec<Seen> {
        let due = std::mem::take(&mut *self.lock());
        due.into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenDigest, Arc<Record>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    /// Has it recorded, if it is worth it, that the session was seen at `now`; the copy
    /// that shows it then.
    pub(super) fn noted(
        &self,
        digest: &TokenDigest,
        record: Arc<Record>,
        now: Timestamp,
    ) -> Arc<Record> {
        if !record.session.touch_is_due(now) {
            return record;
        }
        let seen = Arc::new(record.seen_at(now));
        self.local.touch(digest, &seen);
        if seen.ledger_touch_is_due() {
            self.touches.for_ledger.add(&[(*digest, Arc::clone(&seen))]);
        }
        if self.hot.is_some() {
            self.touches
                .for_hot_store
                .add(&[(*digest, Arc::clone(&seen))]);
        }
        if record.session.touch_is_urgent(now) {
            self.touches.flush_now.notify_one();
        }
        seen
    }

    /// Tells the ledger, which alone can say that a session is idle, and the hot store.
    /// What a store does not take is noted again.
    pub(super) async fn flush_touches(&self) -> Result<(), Unavailable> {
        let _flushing = self.touches.flushing.lock().await;
        let tell_hot_store = async {
            match &self.hot {
                Some(hot) => self.tell(Store::Hot(hot)).await,
                None => Ok(()),
            }
        };
        let (ledger_has_heard, hot_store_has_heard) =
            tokio::join!(self.tell(Store::Ledger), tell_hot_store);
        ledger_has_heard.and(hot_store_has_heard)
    }

    async fn tell(&self, store: Store<'_>) -> Result<(), Unavailable> {
        let due = match store {
            Store::Ledger => &self.touches.for_ledger,
            Store::Hot(_) => &self.touches.for_hot_store,
        };
        let mut outcome = Ok(());
        for batch in due.take().chunks(BATCH) {
            if outcome.is_ok() {
                outcome = match store {
                    Store::Ledger => self.touch_in_ledger(batch).await,
                    Store::Hot(hot) => self.touch_copies(hot, batch).await,
                };
            }
            if outcome.is_err() {
                FALLBACKS.count(Fallback::TouchesLater);
                due.add(batch);
            }
        }
        outcome
    }

    async fn touch_in_ledger(&self, batch: &[Seen]) -> Result<(), Unavailable> {
        let touches = batch
            .iter()
            .map(|(_, seen)| (seen.session.id, seen.session.last_seen_at));
        let era = self.tail.era();
        let Touched { recorded, absent } = self.ledger.touch_sessions(touches.collect()).await?;
        let lost = batch
            .iter()
            .filter(|(_, seen)| absent.contains(&seen.session.id));
        self.disbelieve(lost.map(|(digest, _)| *digest).collect(), era)
            .await;
        let changed: HashSet<SessionId> = recorded.into_iter().collect();
        // The others are due again with the next touch.
        for (digest, seen) in batch
            .iter()
            .filter(|(_, seen)| changed.contains(&seen.session.id))
        {
            let told = Arc::new(seen.known_to_ledger());
            self.local.touch(digest, &told);
            if self.hot.is_some() {
                self.touches.for_hot_store.add(&[(*digest, told)]);
            }
        }
        Ok(())
    }

    /// Drops copies of what the ledger does not know, whatever they say.
    async fn disbelieve(&self, lost: Vec<TokenDigest>, era: u64) {
        if lost.is_empty() {
            return;
        }
        for digest in &lost {
            self.local.keep_over(digest, era);
            self.local.drop(digest);
        }
        tracing::warn!(
            sessions = lost.len(),
            "dropped copies of sessions that the ledger does not know"
        );
        self.forget(lost).await;
    }

    async fn touch_copies(&self, hot: &HotStore, batch: &[Seen]) -> Result<(), Unavailable> {
        let now = self.clock.now();
        let touched = hot.touch(batch, now).await?;
        // Dropped, since the session has ended; or lost, which the view can tell from
        // that as long as it is fresh.
        let lost = batch.iter().zip(touched).filter(|((digest, seen), touch)| {
            *touch == Touch::Absent
                && !self.local.is_over(digest, self.tail.era())
                && self.is_alive(seen, FoundIn::Copy, now)
                && self.tail.is_fresh()
        });
        stream::iter(lost.map(|(touch, _)| Ok(touch)))
            .try_for_each_concurrent(KEPT_AT_ONCE, |(digest, seen)| hot.keep(digest, seen, now))
            .await
    }
}

impl Sessions {
    /// Not each time: that a store is lost goes on for a while.
    fn report(&self, flushed: Result<(), Unavailable>) {
        let was_told = self
            .touches
            .are_told
            .swap(flushed.is_ok(), Ordering::AcqRel);
        match flushed {
            Err(error) if was_told => tracing::warn!(%error, "touches are written later"),
            Ok(()) if !was_told => tracing::info!("touches are written again"),
            Ok(()) | Err(_) => {}
        }
    }
}

pub(super) fn flush_forever(sessions: &Arc<Sessions>) {
    let sessions = Arc::downgrade(sessions);
    tokio::spawn(async move {
        loop {
            let Some(sessions) = sessions.upgrade() else {
                break;
            };
            let urgent = sessions.touches.flush_now.notified();
            let _ = tokio::time::timeout(FLUSH_INTERVAL, urgent).await;
            sessions.report(sessions.flush_touches().await);
            sessions.forget_leftovers().await;
        }
    });
}
