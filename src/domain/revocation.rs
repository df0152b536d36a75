//! The revocation log: its numbers, its entries, and what they record.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::id::{SessionId, UserId};

/// A position in the revocation log. The log starts with number 0, its origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogNumber(u64);

impl LogNumber {
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

impl fmt::Display for LogNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The random mark of an entry. A log that shows another mark under the same
/// number is not the log it was: it went backwards and on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub [u8; 16]);

impl Mark {
    /// Enough of the mark to tell two logs apart, in copies and in the view.
    #[must_use]
    pub const fn prefix(self) -> MarkPrefix {
        MarkPrefix([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

/// The first bytes of a [`Mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkPrefix(pub [u8; 4]);

/// Where the log stood, and which log it was, when a copy was read. Packed, for the
/// sake of the millions that the local cache can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(4))]
pub struct Vouched {
    pub number: LogNumber,
    pub mark: MarkPrefix,
}

/// What the log records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    SessionEnded(SessionId),
    /// Ends the user's sessions born before this entry, but for one that may be
    /// spared.
    UserEnded {
        user: UserId,
        spared: Option<SessionId>,
    },
    /// The user's name, e-mail or role is no longer what copies vouched before
    /// this entry say.
    UserChanged(UserId),
    /// Ends all sessions born before this entry.
    EveryoneEnded,
    /// Something a later version records: nothing vouched before it is believed.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub number: LogNumber,
    pub mark: Mark,
    pub revocation: Revocation,
}

/// What one transaction has appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// The mark of the entry before the first, if the transaction saw it.
    pub after: Option<Mark>,
    pub entries: Vec<Entry>,
}

/// The log's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub number: LogNumber,
    pub mark: Mark,
}
