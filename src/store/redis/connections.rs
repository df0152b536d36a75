//! Connections, in generations: those of one were made to the same place, share
//! their fate, and are given up together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use deadpool_redis::{Hook, HookError, Manager, Pool, Runtime, Timeouts};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, join_all};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisResult, Value};
use thread_local::ThreadLocal;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::address::{Address, Cluster, tcp_settings};
use super::failure::Failure;
use super::{Request, sentinels};

/// Lent at once, beside those that threads read over.
pub const MAX_CONNECTIONS: usize = 16;

pub(super) struct Generation {
    began: Instant,
    link: Made<Link>,
    /// Where connections are opened that threads share: one ends with the runtime that
    /// has opened it.
    runtime: Handle,
}

/// Made once, for whoever needs it first and all after.
type Made<T> = Shared<BoxFuture<'static, Result<T, Arc<anyhow::Error>>>>;

#[derive(Clone)]
enum Link {
    Server(Arc<Server>),
    /// Keeps a connection to each node, and lets any number of commands share them.
    Cluster(ClusterConnection),
}

struct Server {
    pool: Pool,
    place: ConnectionInfo,
    must_be_master: bool,
    command_timeout: Duration,
    /// A connection of each thread, for all that it reads: what is asked on one
    /// thread need not wake another.
    lines: ThreadLocal<Made<MultiplexedConnection>>,
}

pub(super) enum Connection {
    Lent(Lent),
    Shared(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Generation {
    pub(super) fn begin(
        address: &Arc<Address>,
        command_timeout: Duration,
        runtime: &Handle,
    ) -> Self {
        let address = Arc::clone(address);
        let link = async move { Link::open(&address, command_timeout).await };
        Self {
            began: Instant::now(),
            link: made(link, command_timeout, runtime.clone()),
            runtime: runtime.clone(),
        }
    }

    pub(super) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) async fn connection(&self, request: Request<'_>) -> Result<Connection, Failure> {
        match (get(&self.link).await?, request) {
            (Link::Server(server), Request::Read(_)) => {
                Ok(Connection::Shared(get(server.line()).await?))
            }
            (Link::Server(server), Request::One(_) | Request::Each(_)) => {
                let lent = Box::pin(self.lent_by(server)).await?;
                Ok(Connection::Lent(Lent(Some(lent))))
            }
            (Link::Cluster(connection), _) => Ok(Connection::Cluster(connection)),
        }
    }

    async fn lent_by(&self, server: Arc<Server>) -> Result<deadpool_redis::Connection, Failure> {
        let lending = self.runtime.spawn(async move { server.pool.get().await });
        // Given up along with whoever waits for it.
        let lent = AbortOnDropHandle::new(lending).await;
        let lent = lent.map_err(|error| Failure::Unreachable(Arc::new(error.into())))?;
        Ok(lent?)
    }
}

async fn get<T: Clone>(made: &Made<T>) -> Result<T, Failure> {
    let made = match made.peek() {
        Some(made) => made.clone(),
        None => made.clone().await,
    };
    made.map_err(Failure::Unreachable)
}

fn made<T: Clone + Send + Sync + 'static>(
    making: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    command_timeout: Duration,
    runtime: Handle,
) -> Made<T> {
    let made = async move {
        // Goes on even if nobody waits for it any more, and ends with the runtime it is
        // made on.
        let made = runtime.spawn(timeout(command_timeout, making)).await;
        let made = made
            .context("cut short")
            .and_then(|made| made.context("no answer in time"));
        made.flatten().map_err(Arc::new)
    };
    made.boxed().shared()
}

impl Link {
    async fn open(address: &Address, command_timeout: Duration) -> anyhow::Result<Self> {
        match address {
            Address::Server(server) => Self::server(server.clone(), false, command_timeout),
            Address::Sentinel(sentinels) => {
                Self::server(sentinels.find_master().await?, true, command_timeout)
            }
            Address::Cluster(cluster) => Ok(Self::Cluster(join(cluster, command_timeout).await?)),
        }
    }

    fn server(
        place: ConnectionInfo,
        must_be_master: bool,
        command_timeout: Duration,
    ) -> anyhow::Result<Self> {
        let manager = Manager::new_with_config(place.clone(), settings(command_timeout))?;
        let pool = Pool::builder(manager)
            .max_size(MAX_CONNECTIONS)
            .timeouts(Timeouts {
                wait: Some(command_timeout),
                create: Some(command_timeout),
                recycle: Some(command_timeout),
            })
            .runtime(Runtime::Tokio1);
        let pool = if must_be_master {
            pool.post_create(masters_only())
        } else {
            pool
        };
        Ok(Self::Server(Arc::new(Server {
            pool: pool.build()?,
            place,
            must_be_master,
            command_timeout,
            lines: ThreadLocal::new(),
        })))
    }
}

impl Server {
    fn line(&self) -> &Made<MultiplexedConnection> {
        self.lines.get_or(|| {
            let (place, is_master) = (self.place.clone(), self.must_be_master);
            // Who asks has a deadline: a timer less for each command.
            let settings = settings(self.command_timeout).set_response_timeout(None);
            let connect = async move {
                let client = Client::open(place)?;
                let mut line = client
                    .get_multiplexed_async_connection_with_config(&settings)
                    .await?;
                ensure!(
                    !is_master || sentinels::is_master(&mut line).await?,
                    NO_MASTER
                );
                Ok(line)
            };
            made(connect, self.command_timeout, Handle::current())
        })
    }
}

/// A server that was the master may come back as a replica.
const NO_MASTER: &str = "the server is no longer the master";

fn masters_only() -> Hook {
    Hook::async_fn(|connection, _| {
        Box::pin(async move {
            match sentinels::is_master(connection).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(HookError::message(NO_MASTER)),
                Err(error) => Err(HookError::Backend(error)),
            }
        })
    })
}

fn settings(command_timeout: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(command_timeout))
        .set_response_timeout(Some(command_timeout))
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
    pub(super) async fn perform(self, request: Request<'_>) -> Result<Value, Failure> {
        match (self, request) {
            (Self::Shared(mut connection), request) => ask(&mut connection, request).await,
            // Boxed: these are large, and a read's future would be as well.
            (Self::Lent(mut lent), request) => {
                let answer = Box::pin(ask(lent.connection(), request)).await;
                if answer.as_ref().err().is_none_or(Failure::is_an_answer) {
                    lent.give_back();
                }
                answer
            }
            (Self::Cluster(connection), Request::Each(commands)) => {
                let work = commands.iter().map(|command| {
                    let mut connection = connection.clone();
                    async move { command.query_async(&mut connection).await }
                });
                let done = Box::pin(join_all(work)).await.into_iter().collect();
                let done: RedisResult<Vec<Value>> = done;
                Ok(done.map(Value::Array)?)
            }
            (Self::Cluster(mut connection), request) => {
                Box::pin(ask(&mut connection, request)).await
            }
        }
    }
}

/// A connection of the pool's, closed when it is dropped unless it was given back:
/// what is cut short is not used again.
pub(super) struct Lent(Option<deadpool_redis::Connection>);

impl Lent {
    #[expect(
        clippy::expect_used,
        reason = "only `give_back` takes it, and consumes what was lent"
    )]
    fn connection(&mut self) -> &mut MultiplexedConnection {
        self.0.as_mut().expect("it is not given back")
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(deadpool_redis::Connection::take(connection));
        }
    }
}

async fn ask(connection: &mut impl ConnectionLike, request: Request<'_>) -> Result<Value, Failure> {
    match request {
        Request::Read(command) | Request::One(command) => {
            Ok(command.query_async(connection).await?)
        }
        Request::Each(commands) => {
            let mut pipeline = redis::pipe();
            for command in commands {
                pipeline.add_command(command.clone());
            }
            Ok(pipeline.query_async(connection).await?)
        }
    }
}
