//! Until when a view may be relied on.

use std::time::Duration;

use crate::domain::roster::Roster;
use crate::domain::time::Uptime;
use crate::domain::view::View;

/// For how long a view is believed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// After the ledger has confirmed it: [`LONGEST_LEASE`](super::instance::LONGEST_LEASE)
    /// at most.
    pub lease: Duration,
    /// After that, at the most, while the ledger is silent and the others prove that
    /// nobody has revoked anything.
    pub grace: Duration,
}

/// What an instance knows of its view's standing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Belief {
    /// When the poll was sent that last confirmed the view.
    confirmed_at: Option<Uptime>,
    ledger_is_silent: bool,
}

impl Belief {
    /// The ledger has confirmed the view, when it was asked at `asked_at`.
    pub const fn confirm(&mut self, asked_at: Uptime) {
        self.confirmed_at = Some(asked_at);
        self.ledger_is_silent = false;
    }

    /// The ledger was asked and has not answered.
    pub const fn doubt(&mut self) {
        self.ledger_is_silent = true;
    }

    /// When the poll was sent that last confirmed the view.
    #[must_use]
    pub const fn confirmed_at(&self) -> Option<Uptime> {
        self.confirmed_at
    }

    #[must_use]
    pub const fn ledger_is_silent(&self) -> bool {
        self.ledger_is_silent
    }

    #[must_use]
    pub fn is_confirmed_since(&self, since: Uptime) -> bool {
        self.confirmed_at.is_some_and(|at| at >= since)
    }

    /// Until when the view is believed; `None`: it was never confirmed.
    #[must_use]
    pub fn until(&self, limits: Limits, roster: &Roster, view: &View) -> Option<Uptime> {
        let confirmed_at = self.confirmed_at?;
        let leased = confirmed_at + limits.lease;
        if !self.ledger_is_silent {
            return Some(leased);
        }
        let stretched = roster
            .proven(view)
            .map(|proven| (proven + limits.lease).min(confirmed_at + limits.grace));
        Some(stretched.map_or(leased, |stretched| stretched.max(leased)))
    }
}
