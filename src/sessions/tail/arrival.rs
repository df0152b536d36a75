//! How long revocations take to get from their commit into this instance's view.
//!
//! A poll shows, by one statement, when an entry was recorded and what time it is, both on
//! the ledger's clock; so how old the entry was when the ledger was asked. When it came here
//! is known on this machine's clock, and so is when the ledger was asked. No clock is
//! compared with another.

use std::sync::{MutexGuard, PoisonError};

use super::Shared;
use crate::clocks::uptime;
use crate::domain::revocation::{Appended, LogNumber};
use crate::domain::time::{Timestamp, Uptime};
use crate::store::ledger::LogPage;
use crate::telemetry::metrics::{Arrival, REVOCATION_DELAY};

/// When an entry came into the view, and how.
#[derive(Clone, Copy)]
pub(super) struct Arrived {
    number: LogNumber,
    by: Arrival,
    at: Uptime,
}

impl Shared {
    /// Entries have come without a poll: the next will show when they were recorded.
    pub(super) fn note_arrival(&self, appended: &Appended, by: Arrival) {
        let last = appended.entries.last();
        if let Some(number) = last.map(|entry| entry.number) {
            *self.arrived() = Some(Arrived {
                number,
                by,
                at: uptime(),
            });
        }
    }

    /// A poll has shown when the entry that the view stood at was recorded, and has
    /// brought others.
    pub(super) fn measure_arrivals(&self, known: LogNumber, page: &LogPage, asked_at: Uptime) {
        let observe = |by: Arrival, at: Uptime, recorded_at: Timestamp| {
            let delay = at.since(asked_at) + page.now.since(recorded_at);
            REVOCATION_DELAY.observe(by, delay.saturating_sub(asked_at.since(at)));
        };
        let arrived = self.arrived().take_if(|arrived| arrived.number <= known);
        if let (Some(arrived), Some(recorded_at)) = (arrived, page.known_at)
            && arrived.number == known
        {
            observe(arrived.by, arrived.at, recorded_at);
        }
        let now = uptime();
        for recorded_at in &page.recorded_at {
            observe(Arrival::Poll, now, *recorded_at);
        }
    }

    fn arrived(&self) -> MutexGuard<'_, Option<Arrived>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
