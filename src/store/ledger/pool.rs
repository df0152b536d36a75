//! PostgreSQL's connections while nobody uses them, and which of them are still
//! believed in.
//!
//! Not sqlx's pool. That one tries a connection when it is given back, and says
//! farewell to one it refuses, and has no deadline for either: a connection on
//! which nothing arrives any more keeps its place until TCP gives up, a quarter of
//! an hour later. Here one is given back only if its work came to an end, without
//! a word, and otherwise closed, without a word.

use std::io::{self, ErrorKind};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use deadpool::managed::{Manager, Metrics, Object, PoolError, QueueMode, RecycleResult};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Row as _};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use crate::store::Standing;
use crate::telemetry::metrics::{self, CONNECTIONS_REPLACED};

/// No connection is older, so that a pool follows its address to another server
/// even if the old one goes on. And less than the 350 s after which some networks
/// forget a flow on which nothing is said.
pub(super) const LIFETIME: Duration = Duration::from_mins(5);

/// A connection that was not lent for longer is tried first.
const TRUSTED: Duration = Duration::from_secs(1);

/// How long a connection may take to answer when it is tried.
const TRIAL: Duration = Duration::from_millis(250);

/// For how long, and how often, a server is asked again that is just starting or
/// has no place left; it takes a moment to notice what was closed.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(50);

/// The SQLSTATEs by which a server says that it takes no work, or no writes, any
/// more: what else is connected to it is of no use either.
const RETIRED: [&str; 4] = [
    "25006", // read_only_sql_transaction
    "57P01", // admin_shutdown
    "57P02", // crash_shutdown
    "57P03", // cannot_connect_now
];

/// Clones share the connections.
#[derive(Clone)]
pub(super) struct Pool(deadpool::managed::Pool<Opener>);

/// A connection that is closed when it is dropped, unless it was given back.
pub(super) struct Lent(Option<Object<Opener>>);

#[derive(Debug, thiserror::Error)]
#[error("cannot open a connection")]
struct NotOpened(#[source] sqlx::Error);

#[derive(Debug, thiserror::Error)]
#[error("the server takes no writes: it is a standby, or was a primary")]
struct ReadOnly;

impl Pool {
    /// Must be called on the runtime that outlives all who use the pool.
    pub(super) fn new(options: PgConnectOptions, max_connections: u32) -> anyhow::Result<Self> {
        let opener = Opener {
            options,
            runtime: Handle::current(),
            trust: Mutex::default(),
        };
        let pool = deadpool::managed::Pool::builder(opener)
            .max_size(max_connections.try_into()?)
            // The same few are lent again, and need no trial.
            .queue_mode(QueueMode::Lifo)
            .build()
            .context("no pool for PostgreSQL")?;
        Ok(Self(pool))
    }

    /// Waits for a place without a deadline of its own: a use case has one.
    pub(super) async fn lend(&self) -> Result<Lent, sqlx::Error> {
        // The last lent is lent first; one that nobody needs would stay for ever.
        self.0.retain(|_, metrics| metrics.age() < LIFETIME);
        match self.0.get().await {
            Ok(connection) => Ok(Lent(Some(connection))),
            // Says nothing about the connections that there are.
            Err(PoolError::Backend(error)) => Err(io::Error::other(NotOpened(error)).into()),
            Err(_) => Err(sqlx::Error::PoolClosed),
        }
    }

    /// Draws the conclusions from how a use of a connection has ended.
    pub(super) fn heed(&self, error: &sqlx::Error) {
        let opener = self.0.manager();
        if is_lost(error) {
            opener.trust().lost_at = Some(Instant::now());
        } else if is_silent(error) {
            opener.trust().doubted_at = Some(Instant::now());
        }
    }

    pub(super) fn close(&self) {
        self.0.close();
    }

    pub(super) fn standing(&self) -> Standing {
        let status = self.0.status();
        Standing {
            idle: status.available,
            in_use: status.size.saturating_sub(status.available),
            limit: status.max_size,
            waiting: status.waiting,
        }
    }
}

/// Whether the error says that other connections are lost as well, such as after a
/// failover. They are dropped then, rather than that each fails somebody.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
        ),
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| RETIRED.contains(&code.as_ref())),
        _ => false,
    }
}

/// A server takes no writes that did when it was connected to.
pub(super) fn retired() -> sqlx::Error {
    io::Error::new(ErrorKind::ConnectionReset, ReadOnly).into()
}

/// Whether other connections may be silent as well. They are tried then.
pub(super) fn is_silent(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == ErrorKind::TimedOut)
}

impl Lent {
    pub(super) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "only `give_back` takes it, and consumes what was lent"
)]
impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect("it is not given back")
    }
}

#[expect(
    clippy::expect_used,
    reason = "only `give_back` takes it, and consumes what was lent"
)]
impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it is not given back")
    }
}

struct Opener {
    options: PgConnectOptions,
    /// Where connections are opened: one ends with the runtime that has opened it, and
    /// that of the worker which needs it first may end before the others' do.
    runtime: Handle,
    trust: Mutex<Trust>,
}

#[derive(Clone, Copy, Default)]
struct Trust {
    /// Who was not lent since is tried.
    doubted_at: Option<Instant>,
    /// Who was opened before is dropped.
    lost_at: Option<Instant>,
}

impl Opener {
    fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that waits in vain casts out the others: each would take as long.
    async fn try_out(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        match tokio::time::timeout(TRIAL, connection.ping()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                CONNECTIONS_REPLACED.count(metrics::Pool::Ledger);
                self.trust().doubted_at = Some(Instant::now());
                Err(error)
            }
            Err(elapsed) => {
                CONNECTIONS_REPLACED.count(metrics::Pool::Ledger);
                self.trust().lost_at = Some(Instant::now());
                Err(sqlx::Error::Io(elapsed.into()))
            }
        }
    }
}

impl Manager for Opener {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<PgConnection, sqlx::Error> {
        let opening = self.runtime.spawn(open(self.options.clone()));
        // Given up along with whoever waits for it.
        AbortOnDropHandle::new(opening)
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error).into()))
    }

    async fn recycle(
        &self,
        connection: &mut PgConnection,
        lent: &Metrics,
    ) -> RecycleResult<sqlx::Error> {
        let trust = *self.trust();
        let is_lost = trust.lost_at.is_some_and(|at| lent.created <= at);
        if is_lost {
            CONNECTIONS_REPLACED.count(metrics::Pool::Ledger);
        }
        if is_lost || lent.age() > LIFETIME {
            return Err(sqlx::Error::PoolClosed.into());
        }
        let lent_at = lent.recycled.unwrap_or(lent.created);
        let is_doubted = trust.doubted_at.is_some_and(|at| lent_at <= at);
        if is_doubted || lent_at.elapsed() > TRUSTED {
            self.try_out(connection).await?;
        }
        Ok(())
    }
}

async fn open(options: PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let asked_at = Instant::now();
    loop {
        match open_once(&options).await {
            Err(error) if is_passing(&error) && asked_at.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// A connection to a server that takes writes. What one says that does not may
/// have been revoked since.
async fn open_once(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    // On in recovery, too.
    let answer: PgRow = sqlx::raw_sql("show transaction_read_only")
        .fetch_one(&mut connection)
        .await?;
    match answer.try_get(0)? {
        "off" => Ok(connection),
        _ => Err(io::Error::other(ReadOnly).into()),
    }
}

fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        // too_many_connections, cannot_connect_now
        sqlx::Error::Database(error) => {
            matches!(error.code().as_deref(), Some("53300" | "57P03"))
        }
        _ => false,
    }
}
