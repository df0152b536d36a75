//! Single flight: however many requests ask the ledger for one session, it is
//! asked once at a time. The work is shared; it survives whoever began it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::anyhow;
use tokio::sync::watch;

use super::Sessions;
use crate::clocks::uptime;
use crate::domain::digest::TokenDigest;
use crate::domain::session::Record;
use crate::domain::time::Uptime;
use crate::domain::verdict::FoundIn;
use crate::store::Unavailable;
use crate::telemetry::request::carried;

type Outcome = Result<Option<Arc<Record>>, Unavailable>;

#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<TokenDigest, Flight>>);

#[derive(Clone)]
struct Flight {
    begun_at: Uptime,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What the ledger said, and when it began to be asked.
pub(super) struct Landed {
    pub(super) begun_at: Uptime,
    pub(super) outcome: Outcome,
}

impl Flights {
    fn under_way(&self) -> MutexGuard<'_, HashMap<TokenDigest, Flight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    /// Joins the flight under way for that session, or begins one.
    pub(super) async fn fly(
        self: &Arc<Self>,
        digest: &TokenDigest,
        known: Option<&Arc<Record>>,
    ) -> Landed {
        let Flight {
            begun_at,
            mut outcome,
        } = self.board(digest, known);
        let landed = outcome.wait_for(Option::is_some).await;
        let outcome = landed.ok().and_then(|outcome| outcome.clone());
        Landed {
            begun_at,
            outcome: outcome.unwrap_or_else(|| {
                Err(Unavailable::task(anyhow!("a read of the ledger was lost")))
            }),
        }
    }

    fn board(self: &Arc<Self>, digest: &TokenDigest, known: Option<&Arc<Record>>) -> Flight {
        let mut under_way = self.flights.under_way();
        if let Some(flight) = under_way.get(digest) {
            return flight.clone();
        }
        let (landing, outcome) = watch::channel(None);
        let flight = Flight {
            begun_at: uptime(),
            outcome,
        };
        under_way.insert(*digest, flight.clone());
        drop(under_way);
        let (this, digest, known) = (Arc::clone(self), *digest, known.cloned());
        let end = EndOfFlight {
            sessions: Arc::clone(self),
            digest,
        };
        let work = async move {
            let read = this.read_ledger(&digest, known.as_ref()).await;
            // Nobody boards any more: what is read from here on is newer.
            drop(end);
            landing.send_replace(Some(read.clone()));
            // Nobody waits for this, which takes long if Redis hangs.
            if let Ok(Some(record)) = read
                && this.is_alive(&record, FoundIn::Ledger, this.clock.now())
            {
                this.keep_for_others(&digest, &record).await;
            }
        };
        self.tasks.spawn_on(carried(work), &self.runtime);
        flight
    }
}

/// Ends the flight even if its task panics or is dropped.
struct EndOfFlight {
    sessions: Arc<Sessions>,
    digest: TokenDigest,
}

impl Drop for EndOfFlight {
    fn drop(&mut self) {
        self.sessions.flights.under_way().remove(&self.digest);
    }
}
