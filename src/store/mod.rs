//! The seam to what keeps state: the ledger, which is the truth, and the hot
//! store, which is a copy. They speak in domain types; SQL and Redis stay inside.

pub mod bus;
pub mod hot;
pub mod ledger;
pub mod redis;

use std::sync::Arc;

use crate::domain::cause;
use crate::telemetry::metrics::{POOL_CONNECTIONS, POOL_SIZE, POOL_WAITING, Pool, Reading, Use};

/// How often an examination measures a round trip.
const ROUND_TRIPS: u32 = 5;

/// A store did not answer, or what it answered makes no sense. Never a sign
/// that something is absent: absent is `None`. Its text, with all causes, is for
/// the operator.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the {store} is unavailable: {}", cause::chain(.cause.as_ref().as_ref()))]
pub struct Unavailable {
    store: &'static str,
    cause: Arc<anyhow::Error>,
}

impl Unavailable {
    fn ledger(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            store: "ledger",
            cause: Arc::new(cause.into()),
        }
    }

    pub(crate) fn task(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            store: "service",
            cause: Arc::new(cause.into()),
        }
    }

    fn redis(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            store: "Redis deployment",
            cause: Arc::new(cause.into()),
        }
    }

    fn hot(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            store: "hot store",
            cause: Arc::new(cause.into()),
        }
    }
}

/// How the connections of a pool stand.
#[derive(Clone, Copy)]
struct Standing {
    idle: usize,
    in_use: usize,
    limit: usize,
    waiting: usize,
}

impl Standing {
    fn readings(self, of: Pool) -> Vec<Reading> {
        vec![
            POOL_CONNECTIONS.shows((of, Use::Idle), self.idle),
            POOL_CONNECTIONS.shows((of, Use::InUse), self.in_use),
            POOL_SIZE.shows(of, self.limit),
            POOL_WAITING.shows(of, self.waiting),
        ]
    }
}
