//! Redis, however it is deployed: one server, a master that sentinels watch over,
//! or a cluster. Knows nothing of what is kept there.
//!
//! Connections lie: they hang, lead nowhere, or to a server that is no longer the
//! master. So every operation has a deadline, and one that fails by its connection
//! takes all the connections made along with it out of use.

mod address;
mod connections;
mod failure;
mod sentinels;
mod subscription;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Arg, Cmd, FromRedisValue, Value};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::{Instrument as _, Span, field};

use self::address::Address;
use self::connections::Generation;
pub use self::connections::MAX_CONNECTIONS;
use self::failure::Failure;
pub use self::subscription::Subscription;
use crate::store::Unavailable;
use crate::telemetry::traces::STEPS;

/// How long connections are kept at least before others take their place: while
/// all of Redis fails, who asks for a session must not cost it a new start each.
const RESPITE: Duration = Duration::from_millis(500);

/// Redis, however it is deployed. Cheap to clone. Connects when it is first used.
#[derive(Clone)]
pub struct Redis {
    address: Arc<Address>,
    command_timeout: Duration,
    runtime: Handle,
    present: Arc<Mutex<Arc<Generation>>>,
}

/// What is asked of a connection.
#[derive(Clone, Copy)]
enum Request<'a> {
    /// Over a connection that others of this thread use at the same time.
    Read(&'a Cmd),
    One(&'a Cmd),
    Each(&'a [Cmd]),
}

impl Request<'_> {
    fn step(self) -> Span {
        let step = tracing::info_span!(
            target: STEPS,
            "redis",
            otel.name = self.name(),
            otel.kind = "client",
            db.system.name = "redis",
            db.operation.name = self.name(),
            db.operation.batch.size = field::Empty,
            "error.type" = field::Empty,
        );
        if let Self::Each(commands) = self {
            step.record("db.operation.batch.size", commands.len());
        }
        step
    }

    /// Of what is asked, the command and no more.
    fn name(self) -> &'static str {
        let command = match self {
            Self::Read(command) | Self::One(command) => Some(command),
            Self::Each(commands) => commands.last(),
        };
        match command.and_then(|command| command.args_iter().next()) {
            Some(Arg::Simple(b"GET")) => "GET",
            Some(Arg::Simple(b"SET")) => "SET",
            Some(Arg::Simple(b"UNLINK")) => "UNLINK",
            Some(Arg::Simple(b"PUBLISH")) => "PUBLISH",
            _ => "other",
        }
    }
}

impl Redis {
    /// Takes `redis://`, `redis+sentinel://[user:password@]host:port,…/master-name`
    /// and `redis+cluster://[user:password@]host:port,…`, or the same with `rediss`
    /// for TLS. A server's certificate must then be signed by one of `ca`, in PEM;
    /// without, by one that the public trusts.
    ///
    /// Must be called on the runtime that outlives all callers: connections that they
    /// share live there.
    ///
    /// # Errors
    /// If `url` is none of these, or `ca` goes with one without TLS.
    pub fn new(url: &str, ca: Option<&[u8]>, command_timeout: Duration) -> anyhow::Result<Self> {
        let address = Arc::new(Address::parse(url, ca)?);
        let runtime = Handle::current();
        let first = Generation::begin(&address, command_timeout, &runtime);
        Ok(Self {
            address,
            command_timeout,
            runtime,
            present: Arc::new(Mutex::new(Arc::new(first))),
        })
    }

    /// One command that only reads, in one round trip: it shares a connection with
    /// whatever else this thread reads.
    pub(in crate::store) async fn read<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<T, Unavailable> {
        let answer = self.perform(Request::Read(command)).await?;
        T::from_redis_value(answer).map_err(Unavailable::redis)
    }

    /// One command on one key.
    pub(in crate::store) async fn query<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<T, Unavailable> {
        let answer = self.perform(Request::One(command)).await?;
        T::from_redis_value(answer).map_err(Unavailable::redis)
    }

    /// Several commands, each on one key, in as few round trips as there may be. If
    /// one fails, others may have been carried out.
    pub(in crate::store) async fn query_each<T: FromRedisValue>(
        &self,
        commands: &[Cmd],
    ) -> Result<Vec<T>, Unavailable> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.perform(Request::Each(commands)).await?;
        FromRedisValue::from_redis_value(answers).map_err(Unavailable::redis)
    }

    /// Listens to a channel. What was said before is not heard.
    pub(in crate::store) async fn subscribe(
        &self,
        channel: &str,
    ) -> Result<Subscription, Unavailable> {
        let subscription = subscription::subscribe(Arc::clone(&self.address), channel);
        timeout(self.command_timeout, Box::pin(subscription))
            .await
            .unwrap_or_else(|elapsed| Err(elapsed.into()))
            .map_err(Unavailable::redis)
    }

    async fn perform(&self, request: Request<'_>) -> Result<Value, Unavailable> {
        let (generation, step) = (self.present(), request.step());
        let attempt = Self::attempt(&generation, request).instrument(step.clone());
        let answer = timeout(self.command_timeout, attempt).await;
        let answer = answer.unwrap_or_else(|elapsed| Err(elapsed.into()));
        if let Err(failure) = &answer {
            step.record("error.type", "unavailable");
            if !failure.is_an_answer() {
                self.give_up(&generation);
            }
        }
        answer.map_err(Unavailable::redis)
    }

    async fn attempt(generation: &Generation, request: Request<'_>) -> Result<Value, Failure> {
        generation.connection(request).await?.perform(request).await
    }

    fn present(&self) -> Arc<Generation> {
        Arc::clone(&self.present.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts new connections in the place of those that one has just failed among.
    fn give_up(&self, generation: &Arc<Generation>) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&present, generation) && generation.age() >= RESPITE {
            *present = Arc::new(Generation::begin(
                &self.address,
                self.command_timeout,
                &self.runtime,
            ));
        }
    }
}
