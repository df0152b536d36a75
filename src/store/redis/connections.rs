//! Connections, in generations: those of one were made to the same place, share
//! their fate, and are given up together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use deadpool_redis::{Hook, HookError, Manager, Pool, Runtime, Timeouts};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, join_all};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, ConnectionInfo, RedisResult, Value};
use tokio::time::{Instant, timeout};

use super::address::{Address, Cluster, tcp_settings};
use super::failure::Failure;
use super::{Request, sentinels};

const MAX_CONNECTIONS: usize = 16;

pub(super) struct Generation {
    began: Instant,
    /// Made once, by whoever needs it first; it goes on where that one stops.
    link: Shared<BoxFuture<'static, Result<Link, Arc<anyhow::Error>>>>,
}

#[derive(Clone)]
enum Link {
    Server(Pool),
    /// Keeps a connection to each node, and lets any number of commands share them.
    Cluster(ClusterConnection),
}

pub(super) enum Connection {
    Server(deadpool_redis::Connection),
    Cluster(ClusterConnection),
}

impl Generation {
    pub(super) fn begin(address: &Arc<Address>, command_timeout: Duration) -> Self {
        let address = Arc::clone(address);
        let link = async move {
            timeout(command_timeout, Link::open(&address, command_timeout))
                .await
                .context("no answer in time")
                .and_then(|link| link)
                .map_err(Arc::new)
        };
        Self {
            began: Instant::now(),
            link: link.boxed().shared(),
        }
    }

    pub(super) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) async fn connection(&self) -> Result<Connection, Failure> {
        match self.link.clone().await.map_err(Failure::Unreachable)? {
            Link::Server(pool) => Ok(Connection::Server(pool.get().await?)),
            Link::Cluster(connection) => Ok(Connection::Cluster(connection)),
        }
    }
}

impl Link {
    async fn open(address: &Address, command_timeout: Duration) -> anyhow::Result<Self> {
        match address {
            Address::Server(server) => Ok(Self::Server(
                builder(server.clone(), command_timeout)?.build()?,
            )),
            Address::Sentinel(sentinels) => {
                let master = sentinels.find_master().await?;
                let pool = builder(master, command_timeout)?.post_create(masters_only());
                Ok(Self::Server(pool.build()?))
            }
            Address::Cluster(cluster) => Ok(Self::Cluster(join(cluster, command_timeout).await?)),
        }
    }
}

fn builder(
    server: ConnectionInfo,
    command_timeout: Duration,
) -> anyhow::Result<deadpool_redis::PoolBuilder> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(command_timeout))
        .set_response_timeout(Some(command_timeout));
    let manager = Manager::new_with_config(server, config)?;
    Ok(Pool::builder(manager)
        .max_size(MAX_CONNECTIONS)
        .timeouts(Timeouts {
            wait: Some(command_timeout),
            create: Some(command_timeout),
            recycle: Some(command_timeout),
        })
        .runtime(Runtime::Tokio1))
}

/// A server that was the master may come back as a replica.
fn masters_only() -> Hook {
    Hook::async_fn(|connection, _| {
        Box::pin(async move {
            match sentinels::is_master(connection).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(HookError::message("the server is no longer the master")),
                Err(error) => Err(HookError::Backend(error)),
            }
        })
    })
}

/// deadpool's pool of cluster connections takes neither deadlines nor a CA, and
/// there is nothing to lend in turn: commands share a connection.
async fn join(cluster: &Cluster, command_timeout: Duration) -> RedisResult<ClusterConnection> {
    // First the given nodes are connected to, then those they name: twice as long
    // as this, if one does not answer. The time left is for the others.
    let connection_timeout = command_timeout / 4;
    let retry_within = u64::try_from(connection_timeout.as_millis()).unwrap_or(u64::MAX);
    let client = ClusterClientBuilder::new(cluster.nodes.iter().cloned())
        .connection_timeout(connection_timeout)
        .response_timeout(command_timeout)
        .overall_response_timeout(Some(command_timeout))
        .min_retry_wait(1)
        .max_retry_wait(retry_within)
        .tcp_settings(tcp_settings());
    let client = match &cluster.certificates {
        Some(certificates) => client.certs(certificates.clone()),
        None => client,
    };
    client.build()?.get_async_connection().await
}

impl Connection {
    pub(super) async fn perform(&mut self, request: Request<'_>) -> Result<Value, Failure> {
        match (self, request) {
            (Self::Server(connection), Request::One(command)) => {
                Ok(command.query_async(&mut **connection).await?)
            }
            (Self::Server(connection), Request::Each(commands)) => {
                let mut pipeline = redis::pipe();
                for command in commands {
                    pipeline.add_command(command.clone()).ignore();
                }
                Ok(pipeline.query_async(&mut **connection).await?)
            }
            (Self::Cluster(connection), Request::One(command)) => {
                Ok(command.query_async(connection).await?)
            }
            (Self::Cluster(connection), Request::Each(commands)) => {
                let work = commands.iter().map(|command| {
                    let mut connection = connection.clone();
                    async move { command.exec_async(&mut connection).await }
                });
                let done: RedisResult<()> = join_all(work).await.into_iter().collect();
                Ok(done.map(|()| Value::Okay)?)
            }
        }
    }

    /// Closes a connection that is lent by a pool, instead of giving it back.
    pub(super) fn discard(self) {
        match self {
            Self::Server(connection) => drop(deadpool_redis::Connection::take(connection)),
            Self::Cluster(_) => {}
        }
    }
}
