//! `session.*`: how long sessions live, and how they are checked.

use std::time::Duration;

use super::reader::Reader;
use super::values::{count, duration, duration_or_none};
use crate::domain::instance::LONGEST_LEASE;

#[derive(Clone)]
pub struct Session {
    pub idle_timeout: Duration,
    pub lifetime: Duration,
    pub remember_idle_timeout: Duration,
    pub remember_lifetime: Duration,
    pub max_per_user: Option<usize>,
    pub lease: Duration,
    pub poll_interval: Duration,
    pub ledger_grace: Duration,
    pub cache_capacity: usize,
    pub view_capacity: usize,
    pub ledger_reads: usize,
}

impl Session {
    pub(super) fn read(from: &mut Reader) -> Self {
        let session = Self {
            idle_timeout: from.value(
                "session.idle_timeout",
                "2h",
                "A session ends when it was not used for this long",
                duration,
            ),
            lifetime: from.value(
                "session.lifetime",
                "24h",
                "A session ends this long after logging in",
                duration,
            ),
            remember_idle_timeout: from.value(
                "session.remember_idle_timeout",
                "14d",
                "The idle timeout of who asked to be remembered",
                duration,
            ),
            remember_lifetime: from.value(
                "session.remember_lifetime",
                "30d",
                "The lifetime for who asked to be remembered",
                duration,
            ),
            max_per_user: from.optional(
                "session.max_per_user",
                "Over this many sessions of one user, the oldest end. Unset: unlimited",
                count_of,
            ),
            lease: from.value(
                "session.lease",
                "5s",
                "How long a copy of a session may be believed without word from the \
                 ledger, 5s at most",
                duration,
            ),
            poll_interval: from.value(
                "session.poll_interval",
                "500ms",
                "How often the revocation log is read",
                duration,
            ),
            ledger_grace: from.value(
                "session.ledger_grace",
                "60s",
                "How long sessions go on while the ledger is silent and, as Redis proves, \
                 nobody else has ended any. 0s: not at all",
                duration_or_none,
            ),
            cache_capacity: from.value(
                "session.cache_capacity",
                "100000",
                "Sessions that an instance remembers, at about 300 bytes each",
                count_of,
            ),
            view_capacity: from.value(
                "session.view_capacity",
                "1000000",
                "Revocations held in memory",
                count_of,
            ),
            ledger_reads: from.value(
                "session.ledger_reads",
                "32",
                "Session checks that may ask the ledger at once",
                count_of,
            ),
        };
        if session.lease > LONGEST_LEASE {
            from.mistake(
                "session.lease",
                "is longer than 5s, for which a revocation is promised to hold",
            );
        }
        if from.knows(&["session.poll_interval", "session.lease"])
            && session.poll_interval * 2 > session.lease
        {
            from.mistake(
                "session.poll_interval",
                "is more than half of session.lease",
            );
        }
        if from.knows(&["session.idle_timeout", "session.lifetime"])
            && session.idle_timeout > session.lifetime
        {
            from.mistake("session.idle_timeout", "is longer than session.lifetime");
        }
        if from.knows(&["session.remember_idle_timeout", "session.remember_lifetime"])
            && session.remember_idle_timeout > session.remember_lifetime
        {
            from.mistake(
                "session.remember_idle_timeout",
                "is longer than session.remember_lifetime",
            );
        }
        session
    }
}

fn count_of(text: &str) -> Result<usize, String> {
    count(text)
}
