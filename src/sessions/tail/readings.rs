//! How the view stands.

use super::Tail;
use crate::clocks::uptime;
use crate::telemetry::metrics::{
    INSTANCES, LEDGER_SILENT, LOG_FLOOR, LOG_REACHED, Reading, VIEW_AGE, VIEW_FRESH,
};

impl Tail {
    pub(in crate::sessions) fn readings(&self) -> Vec<Reading> {
        let (shared, now) = (&self.shared, uptime());
        let (confirmed_at, is_silent) = {
            let belief = shared.belief();
            (belief.confirmed_at(), belief.ledger_is_silent())
        };
        let (floor, reached) = {
            let view = shared.view();
            (view.floor(), view.reached())
        };
        let instances = shared.roster().present();
        let age = confirmed_at.map(|at| VIEW_AGE.shows((), now.since(at)));
        let mut readings = vec![
            LOG_REACHED.shows((), reached.get()),
            LOG_FLOOR.shows((), floor.get()),
            VIEW_FRESH.shows((), shared.is_fresh()),
            LEDGER_SILENT.shows((), is_silent),
            INSTANCES.shows((), u64::from(instances)),
        ];
        readings.extend(age);
        readings
    }
}
