//! What instances say of themselves, and what each may rely on.

use std::time::Duration;

pub use crate::domain::id::InstanceId;
use crate::domain::revocation::{Appended, Vouched};

/// No instance's lease may be longer. Others are judged by it: how long theirs is, they do
/// not say.
pub const LONGEST_LEASE: Duration = Duration::from_secs(5);

/// Counts what one instance has said; nothing is said twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BeatNumber(u64);

impl BeatNumber {
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A heartbeat. Whoever reads in it that one of his own beats was heard knows
/// that it was made after that one, whatever has delayed it on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    pub instance: InstanceId,
    pub number: BeatNumber,
    /// Where the instance's view stands. It has revoked nothing beyond that.
    pub reached: Vouched,
    /// Its last: it accepts and revokes nothing any more.
    pub is_last: bool,
    /// The latest beat heard of each other instance.
    pub heard: Vec<(InstanceId, BeatNumber)>,
}

/// What an instance has just appended to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    pub instance: InstanceId,
    /// Counts the pushes of that instance.
    pub number: BeatNumber,
    pub appended: Appended,
}

/// What an instance says through the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub number: BeatNumber,
    pub reached: Vouched,
    /// Whether it hears of the others through the ledger alone.
    pub is_deaf: bool,
}

/// An instance as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub instance: InstanceId,
    pub report: Option<Report>,
    /// Somebody has missed it: its view is not confirmed until it enrols again.
    pub is_struck_off: bool,
}
