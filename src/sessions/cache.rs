//! The local cache: what this instance remembers of sessions, so that most checks
//! ask nobody. It may hold any copy, however old: whether one may be believed is
//! found out each time it is used, as for a copy of the hot store.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::domain::client::UserAgent;
use crate::domain::digest::TokenDigest;
use crate::domain::session::Record;

/// How many digests are remembered of sessions that are over: genuine ones that the
/// ledger does not know, or only as expired.
const OVER: usize = 10_000;
/// How many user agents copies share.
const USER_AGENTS: usize = 10_000;

pub(super) struct LocalCache {
    copies: Cache<TokenDigest, Arc<Record>>,
    /// Apart, so that they evict no copy; with the log's era that they belong to.
    over: Cache<TokenDigest, u64>,
    /// Each as copies share it.
    user_agents: Cache<UserAgent, UserAgent>,
}

impl LocalCache {
    /// Remembers so many sessions, and drops the least used beyond.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            copies: Cache::new(capacity),
            over: Cache::new(OVER),
            user_agents: Cache::new(USER_AGENTS),
        }
    }

    pub(super) fn find(&self, digest: &TokenDigest) -> Option<Arc<Record>> {
        self.copies.get(digest)
    }

    pub(super) fn len(&self) -> usize {
        self.copies.len()
    }

    /// A copy fit to be kept: its user agent is one with that of others.
    pub(super) fn copy_of(&self, mut record: Record) -> Arc<Record> {
        if let Some(own) = &mut record.session.user_agent {
            match self.user_agents.get(own) {
                Some(shared) => *own = shared,
                None => self.user_agents.insert(own.clone(), own.clone()),
            }
        }
        Arc::new(record)
    }

    pub(super) fn keep(&self, digest: &TokenDigest, copy: &Arc<Record>) {
        self.copies.insert(*digest, Arc::clone(copy));
    }

    /// Has a copy show when the session was seen. Keeps none that is not there.
    pub(super) fn touch(&self, digest: &TokenDigest, seen: &Arc<Record>) {
        // Refused if it was evicted meanwhile.
        let _ = self.copies.replace(*digest, Arc::clone(seen), true);
    }

    pub(super) fn drop(&self, digest: &TokenDigest) {
        self.copies.remove(digest);
    }

    /// What the ledger says is over stays so, unless it becomes another ledger.
    pub(super) fn is_over(&self, digest: &TokenDigest, era: u64) -> bool {
        self.over.get(digest) == Some(era)
    }

    pub(super) fn keep_over(&self, digest: &TokenDigest, era: u64) {
        self.over.insert(*digest, era);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::tests::record;
    use crate::domain::time::Timestamp;

    fn digest(n: u32) -> TokenDigest {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_ne_bytes());
        TokenDigest::from_bytes(bytes)
    }

    fn kept(cache: &LocalCache, digests: std::ops::Range<u32>) -> usize {
        digests
            .filter(|n| cache.find(&digest(*n)).is_some())
            .count()
    }

    #[test]
    fn memory_is_bounded() {
        let cache = LocalCache::new(100);
        let record = Arc::new(record(7, 9));
        (0..1000).for_each(|n| cache.keep(&digest(n), &record));
        assert!((50..=100).contains(&kept(&cache, 0..1000)));
    }

    #[test]
    fn digests_of_what_is_over_evict_nobody_and_are_bounded() {
        let cache = LocalCache::new(100);
        let record = Arc::new(record(7, 9));
        (0..50).for_each(|n| cache.keep(&digest(n), &record));
        (0..100_000).for_each(|n| cache.keep_over(&digest(n), 1));
        assert_eq!(kept(&cache, 0..50), 50);
        let over = (0..100_000).filter(|n| cache.is_over(&digest(*n), 1));
        assert!((1..=OVER).contains(&over.count()));
    }

    #[test]
    fn what_is_over_by_one_log_may_not_be_by_another() {
        let cache = LocalCache::new(100);
        cache.keep_over(&digest(1), 1);
        assert!(cache.is_over(&digest(1), 1));
        assert!(!cache.is_over(&digest(1), 2));
    }

    #[test]
    fn copies_share_user_agents() {
        let cache = LocalCache::new(100);
        let copy = |sent: &str| {
            let mut record = record(7, 9);
            record.session.user_agent = UserAgent::parse(sent.as_bytes());
            let copy = cache.copy_of(record).seen_at(Timestamp::from_millis(1));
            copy.session.user_agent.unwrap()
        };
        let (one, same, other) = (copy("curl/8"), copy("curl/8"), copy("curl/9"));
        assert!(std::ptr::eq(one.as_str(), same.as_str()));
        assert_ne!(one, other);
    }

    #[test]
    fn a_touch_makes_no_copy() {
        let cache = LocalCache::new(100);
        let record = Arc::new(record(7, 9));
        cache.touch(&digest(1), &record);
        assert_eq!(kept(&cache, 0..10), 0);
        cache.keep(&digest(1), &record);
        cache.touch(&digest(1), &record);
        assert_eq!(kept(&cache, 0..10), 1);
    }
}
