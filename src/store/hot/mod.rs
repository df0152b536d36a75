//! The hot store: copies of live sessions under the digests of their tokens. It
//! may be flushed, rolled back or lost at any time; nothing depends on what it
//! holds but speed.

mod memory;
mod redis;
mod sealed;

use std::sync::Arc;

use crate::domain::digest::TokenDigest;
use crate::domain::keys::KeyRing;
use crate::domain::session::Record;
use crate::domain::time::Timestamp;
use crate::store::Unavailable;
use crate::store::redis::Redis;

pub enum HotStore {
    Redis(redis::RedisCopies),
    Memory(memory::Memory),
}

/// What became of a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Touch {
    Recorded,
    /// There is no copy to touch, and none was made.
    Absent,
}

impl HotStore {
    /// Copies in this process, the least used dropped beyond `capacity`.
    #[must_use]
    pub fn memory(capacity: usize) -> Self {
        Self::Memory(memory::Memory::new(capacity))
    }

    /// Copies in Redis, sealed with the key ring, under keys that begin with
    /// `key_prefix`.
    #[must_use]
    pub fn redis(redis: Redis, key_prefix: &str, keys: Arc<KeyRing>) -> Self {
        Self::Redis(redis::RedisCopies::new(redis, key_prefix, keys))
    }

    /// The copy under that digest. What cannot be opened is no copy.
    ///
    /// # Errors
    /// [`Unavailable`] if the store does not answer.
    pub async fn find(&self, digest: &TokenDigest) -> Result<Option<Arc<Record>>, Unavailable> {
        match self {
            Self::Redis(copies) => copies.find(digest).await,
            Self::Memory(memory) => Ok(memory.find(digest)),
        }
    }

    /// Keeps a copy that the ledger has just vouched for. It may land late:
    /// whoever reads it compares `vouched` with the log.
    ///
    /// # Errors
    /// [`Unavailable`] if the store does not answer.
    pub async fn keep(
        &self,
        digest: &TokenDigest,
        record: &Arc<Record>,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        match self {
            Self::Redis(copies) => copies.keep(digest, record, now).await,
            Self::Memory(memory) => {
                memory.keep(digest, record);
                Ok(())
            }
        }
    }

    /// Replaces a copy by one that differs in when the session was seen. Never
    /// creates one.
    ///
    /// # Errors
    /// [`Unavailable`] if the store does not answer.
    pub async fn touch(
        &self,
        digest: &TokenDigest,
        record: &Arc<Record>,
        now: Timestamp,
    ) -> Result<Touch, Unavailable> {
        match self {
            Self::Redis(copies) => copies.touch(digest, record, now).await,
            Self::Memory(memory) => Ok(memory.touch(digest, record)),
        }
    }

    /// Drops copies; those that are not there are passed over.
    ///
    /// # Errors
    /// [`Unavailable`] if the store does not answer.
    pub async fn forget(&self, digests: &[TokenDigest]) -> Result<(), Unavailable> {
        match self {
            Self::Redis(copies) => copies.forget(digests).await,
            Self::Memory(memory) => {
                memory.forget(digests);
                Ok(())
            }
        }
    }
}
