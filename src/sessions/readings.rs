//! Gauges, read when somebody asks for the metrics.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::Sessions;
use crate::store::hot::HotStore;
use crate::telemetry::metrics::{CACHED_SESSIONS, CLOCK_SKEWED, LEASE, Reading, SESSIONS};

/// Between two counts of all sessions, however many ask.
const INTERVAL: Duration = Duration::from_mins(1);

/// How many sessions the ledger had when it was last asked, if it said so.
#[derive(Default)]
pub(super) struct Counted(Mutex<Option<(Instant, Option<u64>)>>);

impl Sessions {
    /// As things stand.
    pub async fn readings(&self) -> Vec<Reading> {
        let mut readings = vec![
            CACHED_SESSIONS.shows((), self.local.len()),
            LEASE.shows((), self.policy.lease),
            CLOCK_SKEWED.shows((), self.clock.is_skewed()),
        ];
        readings.extend(self.tail.readings());
        readings.extend(self.ledger.readings());
        readings.extend(self.hot.iter().flat_map(HotStore::readings));
        readings.extend(self.count().await.map(|count| SESSIONS.shows((), count)));
        readings
    }

    async fn count(&self) -> Option<u64> {
        let mut counted = self.counted.0.lock().await;
        match *counted {
            Some((at, count)) if at.elapsed() < INTERVAL => count,
            _ => {
                let count = self.ledger.estimate_sessions().await.ok();
                *counted = Some((Instant::now(), count));
                count
            }
        }
    }
}
