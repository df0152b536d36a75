//! The usual remedy for tokens that cannot be revoked: a list in Redis of those that
//! have been, which every check asks.

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd};
use tokio::sync::OnceCell;

use super::jwt::Claims;

pub(super) struct Denylist {
    url: String,
    /// One for each worker, made at its first request.
    connection: OnceCell<MultiplexedConnection>,
}

impl Denylist {
    pub(super) fn new(url: String) -> Self {
        let connection = OnceCell::new();
        Self { url, connection }
    }

    async fn connection(&self) -> Result<MultiplexedConnection> {
        let connect = async || {
            let client = Client::open(self.url.as_str())?;
            client.get_multiplexed_async_connection().await
        };
        Ok(self.connection.get_or_try_init(connect).await?.clone())
    }

    pub(super) async fn has(&self, claims: &Claims) -> Result<bool> {
        let exists = Cmd::exists(key(claims));
        Ok(exists.query_async(&mut self.connection().await?).await?)
    }

    /// Until nobody would believe it anyway.
    pub(super) async fn add(&self, claims: &Claims) -> Result<()> {
        let rest = u64::try_from(claims.rest()).unwrap_or_default() + LEEWAY;
        let set = Cmd::set_ex(key(claims), 1, rest);
        Ok(set.query_async(&mut self.connection().await?).await?)
    }
}

/// Seconds that verifiers give.
const LEEWAY: u64 = 60;

fn key(claims: &Claims) -> String {
    format!("denied:{}", claims.sid)
}
