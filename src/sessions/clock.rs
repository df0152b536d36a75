//! The one clock. Wall time is the ledger's, carried forward from its last
//! answer by a monotonic clock; the clock of this machine has no say in when a
//! session ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use crate::clocks::{uptime, wall_time};
use crate::domain::time::{TOLERATED_SKEW, Timestamp, Uptime, millis};

/// An answer takes now more time, now less. The clock does not go back for so many
/// milliseconds: what is issued later would seem to have been issued before.
const JITTER: i64 = 250;

#[derive(Clone)]
pub struct Clock(Arc<Shared>);

struct Shared {
    /// What wall time was, in milliseconds, when the monotonic clock stood at zero.
    origin: AtomicI64,
    is_skewed: AtomicBool,
    /// Milliseconds that [`Clock::advance`] has added.
    advanced: AtomicI64,
}

fn as_millis(uptime: Uptime) -> i64 {
    uptime
        .since_start()
        .as_millis()
        .try_into()
        .unwrap_or(i64::MAX)
}

impl Clock {
    /// A clock that shows this machine's time until the ledger has told its own.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            origin: AtomicI64::new(wall_time().as_millis() - as_millis(uptime())),
            is_skewed: AtomicBool::new(false),
            advanced: AtomicI64::new(0),
        }))
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        let origin = self.0.origin.load(Ordering::Relaxed);
        let advanced = self.0.advanced.load(Ordering::Relaxed);
        Timestamp::from_millis(origin + as_millis(uptime()) + advanced)
    }

    /// Whether this machine's own clock is far from the ledger's.
    pub(super) fn is_skewed(&self) -> bool {
        self.0.is_skewed.load(Ordering::Relaxed)
    }

    /// Moves this clock and its clones ahead of the ledger's for good: how a
    /// test lets time pass.
    pub fn advance(&self, duration: Duration) {
        self.0
            .advanced
            .fetch_add(millis(duration), Ordering::Relaxed);
    }

    /// Sets the clock to what the ledger's showed at `asked_at`.
    pub(super) fn follow(&self, ledger: Timestamp, asked_at: Uptime) {
        let origin = ledger.as_millis() - as_millis(asked_at);
        let known = self.0.origin.load(Ordering::Relaxed);
        if !(known - JITTER..known).contains(&origin) {
            self.0.origin.store(origin, Ordering::Relaxed);
        }
        let system = wall_time();
        let skew = system.since(ledger).max(ledger.since(system));
        let is_skewed = skew > TOLERATED_SKEW;
        if self.0.is_skewed.swap(is_skewed, Ordering::Relaxed) != is_skewed {
            tracing::warn!(
                skew_ms = millis(skew),
                tolerated = !is_skewed,
                "this machine's clock against the ledger's"
            );
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
