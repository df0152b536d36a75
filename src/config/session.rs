//! `session.*`: how long sessions live, and how they are checked.

use std::time::Duration;

use super::reader::{Reader, count, duration};

#[derive(Clone)]
pub struct Session {
    pub idle_timeout: Duration,
    pub lifetime: Duration,
    pub remember_idle_timeout: Duration,
    pub remember_lifetime: Duration,
    pub max_per_user: Option<usize>,
    pub lease: Duration,
    pub poll_interval: Duration,
    pub cache_capacity: usize,
    pub view_capacity: usize,
    pub ledger_reads: usize,
}

const MAX_LEASE: Duration = Duration::from_secs(5);

impl Session {
    pub(super) fn read(from: &mut Reader) -> Self {
        let session = Self {
            idle_timeout: from.value("session.idle_timeout", "2h", duration),
            lifetime: from.value("session.lifetime", "24h", duration),
            remember_idle_timeout: from.value("session.remember_idle_timeout", "14d", duration),
            remember_lifetime: from.value("session.remember_lifetime", "30d", duration),
            max_per_user: from.optional("session.max_per_user", count_of),
            lease: from.value("session.lease", "5s", duration),
            poll_interval: from.value("session.poll_interval", "500ms", duration),
            cache_capacity: from.value("session.cache_capacity", "100000", count_of),
            view_capacity: from.value("session.view_capacity", "1000000", count_of),
            ledger_reads: from.value("session.ledger_reads", "32", count_of),
        };
        if session.lease > MAX_LEASE {
            from.mistake(
                "session.lease",
                "is longer than 5s, for which a revocation is promised to hold",
            );
        }
        if session.poll_interval * 2 > session.lease {
            from.mistake(
                "session.poll_interval",
                "is more than half of session.lease",
            );
        }
        if session.idle_timeout > session.lifetime {
            from.mistake("session.idle_timeout", "is longer than session.lifetime");
        }
        if session.remember_idle_timeout > session.remember_lifetime {
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
