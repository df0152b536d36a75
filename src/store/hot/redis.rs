//! Copies in Redis. Every operation touches one key.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use deadpool_redis::redis::{
    AsyncConnectionConfig, ExistenceCheck, RedisError, SetExpiry, SetOptions,
};
use deadpool_redis::{Connection, Manager, Pool, PoolError, Runtime, Timeouts, redis};

use super::{Touch, sealed};
use crate::domain::digest::TokenDigest;
use crate::domain::keys::KeyRing;
use crate::domain::session::Record;
use crate::domain::time::Timestamp;
use crate::entropy;
use crate::store::Unavailable;

const MAX_CONNECTIONS: usize = 16;

pub struct Redis {
    pool: Pool,
    key_prefix: String,
    command_timeout: Duration,
    keys: Arc<KeyRing>,
}

#[derive(Debug, thiserror::Error)]
enum RedisFailure {
    #[error("no connection")]
    Pool(#[from] PoolError),
    #[error("a command failed")]
    Command(#[from] RedisError),
}

impl Redis {
    pub(super) fn new(
        url: &str,
        key_prefix: &str,
        command_timeout: Duration,
        keys: Arc<KeyRing>,
    ) -> anyhow::Result<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(command_timeout))
            .set_response_timeout(Some(command_timeout));
        let manager =
            Manager::new_with_config(url, config).context("redis.url is not a Redis URL")?;
        let pool = Pool::builder(manager)
            .max_size(MAX_CONNECTIONS)
            .timeouts(Timeouts {
                wait: Some(command_timeout),
                create: Some(command_timeout),
                recycle: Some(command_timeout),
            })
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self {
            pool,
            key_prefix: key_prefix.to_owned(),
            command_timeout,
            keys,
        })
    }

    pub(super) async fn find(
        &self,
        digest: &TokenDigest,
    ) -> Result<Option<Arc<Record>>, Unavailable> {
        let mut get = redis::cmd("GET");
        get.arg(self.key(digest));
        let found = self.bounded(async |mut connection| {
            Ok(get.query_async::<Option<Vec<u8>>>(&mut connection).await?)
        });
        Ok(found
            .await?
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
        if digests.is_empty() {
            return Ok(());
        }
        let mut unlink = redis::pipe();
        for digest in digests {
            unlink.cmd("UNLINK").arg(self.key(digest)).ignore();
        }
        self.bounded(async |mut connection| Ok(unlink.query_async::<()>(&mut connection).await?))
            .await
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
        let written = self.bounded(async |mut connection| {
            Ok(set.query_async::<Option<()>>(&mut connection).await?)
        });
        Ok(written.await?.map_or(Touch::Absent, |()| Touch::Recorded))
    }

    async fn bounded<T, Work>(
        &self,
        command: impl FnOnce(Connection) -> Work,
    ) -> Result<T, Unavailable>
    where
        Work: Future<Output = Result<T, RedisFailure>>,
    {
        let work = async {
            let connection = self.pool.get().await?;
            command(connection).await
        };
        tokio::time::timeout(self.command_timeout, work)
            .await
            .map_err(Unavailable::hot)?
            .map_err(Unavailable::hot)
    }

    fn key(&self, digest: &TokenDigest) -> String {
        let digest = URL_SAFE_NO_PAD.encode(digest.as_bytes());
        format!("{}:s:{digest}", self.key_prefix)
    }
}
