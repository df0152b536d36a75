//! Copies in Redis. Every operation touches one key.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::{Cmd, ExistenceCheck, SetExpiry, SetOptions};

use super::{Touch, sealed};
use crate::domain::digest::TokenDigest;
use crate::domain::keys::KeyRing;
use crate::domain::session::Record;
use crate::domain::time::Timestamp;
use crate::entropy;
use crate::store::Unavailable;
use crate::store::redis::Redis;

pub struct RedisCopies {
    redis: Redis,
    key_prefix: String,
    keys: Arc<KeyRing>,
}

impl RedisCopies {
    pub(super) fn new(redis: Redis, key_prefix: &str, keys: Arc<KeyRing>) -> Self {
        Self {
            redis,
            key_prefix: key_prefix.to_owned(),
            keys,
        }
    }

    pub(super) async fn find(
        &self,
        digest: &TokenDigest,
    ) -> Result<Option<Arc<Record>>, Unavailable> {
        let mut get = redis::cmd("GET");
        get.arg(self.key(digest));
        let found: Option<Vec<u8>> = self.redis.query(&get).await?;
        Ok(found
            .and_then(|bytes| sealed::open(&bytes, digest, &self.keys))
            .map(Arc::new))
    }

    pub(super) async fn keep(
        &self,
        digest: &TokenDigest,
        record: &Record,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        self.set(digest, record, now, SetOptions::default())
            .await
            .map(drop)
    }

    pub(super) async fn touch(
        &self,
        digest: &TokenDigest,
        record: &Record,
        now: Timestamp,
    ) -> Result<Touch, Unavailable> {
        let only_existing = SetOptions::default().conditional_set(ExistenceCheck::XX);
        self.set(digest, record, now, only_existing).await
    }

    pub(super) async fn forget(&self, digests: &[TokenDigest]) -> Result<(), Unavailable> {
        let unlink = |digest| {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(self.key(digest));
            unlink
        };
        let each: Vec<Cmd> = digests.iter().map(unlink).collect();
        self.redis.query_each(&each).await
    }

    async fn set(
        &self,
        digest: &TokenDigest,
        record: &Record,
        now: Timestamp,
        options: SetOptions,
    ) -> Result<Touch, Unavailable> {
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
        let written: Option<()> = self.redis.query(&set).await?;
        Ok(written.map_or(Touch::Absent, |()| Touch::Recorded))
    }

    fn key(&self, digest: &TokenDigest) -> String {
        let digest = URL_SAFE_NO_PAD.encode(digest.as_bytes());
        format!("{}:s:{digest}", self.key_prefix)
    }
}
