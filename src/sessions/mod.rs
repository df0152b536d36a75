//! What is done with sessions: issue, check, list, revoke, touch, reap; and the
//! revocation view with its lease, which all of these stand on.
//!
//! Knows nothing of HTTP and nothing of passwords.

mod cache;
mod check;
mod clock;
mod feed;
mod flight;
mod issue;
mod leftovers;
mod list;
mod mint;
mod readings;
mod reap;
mod revoke;
mod tail;
mod touch;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::domain::audit::{Act, Actor, Source};
use crate::domain::id::InstanceId;
use crate::domain::keys::KeyRing;
use crate::domain::revocation::Vouched;
use crate::domain::session::Lifetime;
use crate::store::Unavailable;
use crate::store::bus::Bus;
use crate::store::hot::HotStore;
use crate::store::ledger::Ledger;
use crate::telemetry::request::carried;

pub use clock::Clock;
pub use feed::{Extract, Vouching};
pub use issue::Issued;
pub use mint::Mint;
pub use revoke::{Revoked, Swept};
pub use tail::Effect;

use cache::LocalCache;
use flight::Flights;
use leftovers::Leftovers;
use readings::Counted;
use tail::Tail;
use touch::Touches;

/// How long the end of the process waits for touches to be written. Without
/// them, a session may end a little early.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// The limits sessions live within.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub lifetime: Lifetime,
    pub remembered_lifetime: Lifetime,
    /// A user's oldest sessions end when there would be more.
    pub max_per_user: Option<usize>,
    /// How long after the view was confirmed a copy may be believed.
    pub lease: Duration,
    pub poll_interval: Duration,
    /// How long copies may be believed while the ledger is silent, if nobody else
    /// has revoked anything.
    pub ledger_grace: Duration,
    /// How many sessions the local cache remembers before it drops the least used.
    pub cache_capacity: usize,
    /// How many revocations the view holds before it drops the oldest.
    pub view_capacity: usize,
    /// Whether other services hear the log from this instance.
    pub serves_feed: bool,
    /// How many checks may ask the ledger at once.
    pub ledger_reads: usize,
    /// How long the audit log goes back.
    pub audit_retention: Duration,
}

pub struct Sessions {
    ledger: Ledger,
    hot: Option<HotStore>,
    local: LocalCache,
    keys: Arc<KeyRing>,
    clock: Clock,
    policy: Policy,
    tail: Tail,
    touches: Touches,
    flights: Flights,
    leftovers: Leftovers,
    ledger_reads: Semaphore,
    counted: Counted,
    tasks: TaskTracker,
    runtime: Handle,
}

impl Sessions {
    /// Reads where the revocation log stands and begins to follow it.
    ///
    /// Must be called on the runtime that outlives all callers: what may not be
    /// cut short runs there.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn start(
        ledger: Ledger,
        hot: Option<HotStore>,
        bus: Option<Bus>,
        keys: Arc<KeyRing>,
        clock: Clock,
        policy: Policy,
    ) -> anyhow::Result<Arc<Self>> {
        let tail = Tail::start(&ledger, &clock, &policy, bus).await?;
        let sessions = Arc::new(Self {
            ledger,
            hot,
            local: LocalCache::new(policy.cache_capacity),
            keys,
            clock,
            policy,
            tail,
            touches: Touches::new(),
            flights: Flights::default(),
            leftovers: Leftovers::default(),
            ledger_reads: Semaphore::new(policy.ledger_reads),
            counted: Counted::default(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
        });
        touch::flush_forever(&sessions);
        reap::reap_forever(&sessions);
        Ok(sessions)
    }

    /// Waits for what has been begun, and writes what is still to be written,
    /// if the stores let it.
    pub async fn stop(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        let flushed = tokio::time::timeout(LAST_FLUSH, self.flush_touches()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("the last touches were lost: the stores do not answer");
        }
        self.tail.leave(&self.ledger).await;
    }

    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// As which the other instances know this one.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.tail.instance()
    }

    /// Whether checks are answered: the view was confirmed within the lease.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.tail.is_fresh()
    }

    /// Up to where the revocation log is known here.
    #[must_use]
    pub fn stands_at(&self) -> Vouched {
        self.tail.stands_at()
    }

    /// Waits until all instances refuse what has been ended by now; not longer than
    /// `patience`.
    pub async fn effect(&self, patience: Duration) -> Effect {
        self.tail.effect(patience).await
    }

    /// An act of now.
    #[must_use]
    pub fn act(&self, actor: Actor, source: Source) -> Act {
        Act {
            at: self.clock.now(),
            actor,
            source,
        }
    }

    /// An act of now, by somebody at the command line.
    #[must_use]
    pub fn operators_act(&self) -> Act {
        self.act(Actor::Operator, Source::default())
    }

    /// Runs `work` to its end even if the caller is gone, and has
    /// [`Sessions::stop`] wait for it.
    ///
    /// # Errors
    /// What `work` gives, or [`Unavailable`] if it panicked.
    pub async fn uncut<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Unavailable> + Send + 'static,
    {
        self.tasks
            .spawn_on(carried(work), &self.runtime)
            .await
            .unwrap_or_else(|error| Err(Unavailable::task(error).into()))
    }

    /// Begins `work` that no caller waits for; [`Sessions::stop`] does.
    pub fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(carried(work), &self.runtime);
    }
}
