//! The hot store: copies of live sessions in Redis, for all instances, under the
//! digests of their tokens. It may be flushed, rolled back or lost at any time;
//! nothing depends on what it holds but speed. Every command touches one key.

mod sealed;
mod user_agent;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::{Cmd, ExistenceCheck, SetExpiry, SetOptions};

use crate::domain::digest::TokenDigest;
use crate::domain::keys::KeyRing;
use crate::domain::session::Record;
use crate::domain::time::Timestamp;
use crate::entropy;
use crate::store::Unavailable;
use crate::store::redis::Redis;
use crate::telemetry::metrics::Reading;

/// Of 32 bytes, in base64.
const DIGEST_LENGTH: usize = 43;

pub struct HotStore {
    redis: Redis,
    key_prefix: String,
    keys: Arc<KeyRing>,
}

/// What became of a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Touch {
    Recorded,
    /// There is no copy to touch, and none was made.
    Absent,
}

/// What the keys of copies begin with.
#[must_use]
pub fn beginning(key_prefix: &str) -> String {
    format!("{key_prefix}:s:")
}

impl HotStore {
    /// Copies are sealed with the key ring, under keys that begin with `key_prefix`.
    #[must_use]
    pub fn new(redis: Redis, key_prefix: &str, keys: Arc<KeyRing>) -> Self {
        Self {
            redis,
            key_prefix: beginning(key_prefix),
            keys,
        }
    }

    /// How the connections stand.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        self.redis.readings()
    }

    /// The copy under that digest. What cannot be opened is no copy.
    ///
    /// # Errors
    /// [`Unavailable`] if Redis does not answer.
    pub async fn find(&self, digest: &TokenDigest) -> Result<Option<Record>, Unavailable> {
        let mut get = redis::cmd("GET");
        get.arg(self.key(digest));
        let found: Option<Vec<u8>> = self.redis.read(&get).await?;
        Ok(found.and_then(|bytes| sealed::open(&bytes, digest, &self.keys)))
    }

    /// Keeps a copy that the ledger has vouched for. It may land late: whoever reads
    /// it compares `vouched` with the log.
    ///
    /// # Errors
    /// [`Unavailable`] if Redis does not answer.
    pub async fn keep(
        &self,
        digest: &TokenDigest,
        record: &Record,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let set = self.set(digest, record, now, SetOptions::default())?;
        self.redis.query(&set).await
    }

    /// Replaces copies by ones that differ in when the sessions were seen. Never
    /// creates one.
    ///
    /// # Errors
    /// [`Unavailable`] if Redis does not answer; some may have been replaced.
    pub async fn touch(
        &self,
        touches: &[(TokenDigest, Arc<Record>)],
        now: Timestamp,
    ) -> Result<Vec<Touch>, Unavailable> {
        let set = |(digest, record): &(_, Arc<_>)| {
            let only_existing = SetOptions::default().conditional_set(ExistenceCheck::XX);
            self.set(digest, record, now, only_existing)
        };
        let each: Vec<Cmd> = touches.iter().map(set).collect::<Result<_, _>>()?;
        let written: Vec<Option<()>> = self.redis.query_each(&each).await?;
        let became = |written: Option<()>| written.map_or(Touch::Absent, |()| Touch::Recorded);
        Ok(written.into_iter().map(became).collect())
    }

    /// Drops copies; those that are not there are passed over.
    ///
    /// # Errors
    /// [`Unavailable`] if Redis does not answer; some may have been dropped.
    pub async fn forget(&self, digests: &[TokenDigest]) -> Result<(), Unavailable> {
        let unlink = |digest| {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(self.key(digest));
            unlink
        };
        let each: Vec<Cmd> = digests.iter().map(unlink).collect();
        let _: Vec<u64> = self.redis.query_each(&each).await?;
        Ok(())
    }

    fn set(
        &self,
        digest: &TokenDigest,
        record: &Record,
        now: Timestamp,
        options: SetOptions,
    ) -> Result<Cmd, Unavailable> {
        let value = sealed::seal(record, digest, &self.keys, entropy::random())
            .map_err(Unavailable::hot)?;
        let time_left = record
            .session
            .idle_expires_at()
            .since(now)
            .as_millis()
            .max(1);
        let expiry = SetExpiry::PX(time_left.try_into().unwrap_or(u64::MAX));
        let mut set = redis::cmd("SET");
        set.arg(self.key(digest))
            .arg(value)
            .arg(options.with_expiration(expiry));
        Ok(set)
    }

    fn key(&self, digest: &TokenDigest) -> String {
        let mut key = String::with_capacity(self.key_prefix.len() + DIGEST_LENGTH);
        key.push_str(&self.key_prefix);
        URL_SAFE_NO_PAD.encode_string(digest.as_bytes(), &mut key);
        key
    }
}
