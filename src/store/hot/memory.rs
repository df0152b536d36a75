//! Copies in this process.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::Touch;
use crate::domain::digest::TokenDigest;
use crate::domain::session::Record;

pub struct Memory {
    records: Cache<TokenDigest, Arc<Record>>,
}

impl Memory {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            records: Cache::new(capacity),
        }
    }

    pub(super) fn find(&self, digest: &TokenDigest) -> Option<Arc<Record>> {
        self.records.get(digest)
    }

    pub(super) fn keep(&self, digest: &TokenDigest, record: &Arc<Record>) {
        self.records.insert(*digest, Arc::clone(record));
    }

    pub(super) fn touch(&self, digest: &TokenDigest, record: &Arc<Record>) -> Touch {
        match self.records.replace(*digest, Arc::clone(record), false) {
            Ok(()) => Touch::Recorded,
            Err(_) => Touch::Absent,
        }
    }

    pub(super) fn forget(&self, digests: &[TokenDigest]) {
        for digest in digests {
            self.records.remove(digest);
        }
    }
}
