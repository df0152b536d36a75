//! The composition root: puts the parts together, in production and in tests
//! alike.

mod backup;
mod examination;
mod keys;
mod port;
mod stop;

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::Server;
use anyhow::{Context as _, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::accounts::{Accounts, Earlier, FirstAdmin, Hasher, NewAccount, SetUp};
use crate::config::{self, Settings};
use crate::domain::audit::{Actor, Source};
use crate::domain::id::InstanceId;
use crate::domain::password::PasswordPolicy;
use crate::domain::session::Lifetime;
use crate::domain::user::{Role, UserName};
use crate::http::{Capacity, Links, Services, serve, serve_metrics};
use crate::sessions::{Clock, Mint, Policy, Sessions};
use crate::store::bus::Bus;
use crate::store::hot::HotStore;
use crate::store::ledger::{Applied, Ledger};
use crate::store::redis::{MAX_CONNECTIONS, Redis};

pub use backup::{Copied, Existing, back_up, restore};
pub use examination::examine;
pub use keys::{generate_key, write_key};
pub use stop::{Handle, Stop, stop_signal};

use keys::Keys;
use port::Port;
use stop::{Grace, Orders, Signals, stopped};

/// Connections at once that a thread takes, if the system lets it.
const CONNECTIONS: u64 = 25_000;

/// Open files that are not clients: stores, logs, and what a command may need.
const OTHER_FILES: u64 = 256;

/// The service, built and bound, but not yet answering.
pub struct Application {
    server: Server,
    port: Port,
    signals: Signals,
    grace: Grace,
    address: SocketAddr,
    metrics: Option<(Server, SocketAddr)>,
    services: Services,
    setup_link: Option<String>,
}

impl Application {
    /// Connects to the stores, brings the schema up to date and binds the port.
    ///
    /// # Errors
    /// If any of that cannot be done.
    pub async fn build(settings: Settings) -> anyhow::Result<Self> {
        Self::build_with_clock(settings, Clock::new()).await
    }

    /// Like [`Application::build`], with a clock that a test moves.
    ///
    /// # Errors
    /// If any of that cannot be done.
    pub async fn build_with_clock(mut settings: Settings, clock: Clock) -> anyhow::Result<Self> {
        // First of all: until it is listened to, it ends the process.
        let hang_up = signal(SignalKind::hangup()).context("cannot listen to SIGHUP")?;
        let bind = settings.server.bind;
        let port = Port::take(bind).with_context(|| cannot_listen(bind))?;
        settings.server.bind = port.address()?;
        let metrics_port = settings.metrics.bind.map(|bind| {
            Port::take(bind).with_context(|| format!("cannot listen on metrics.bind, {bind}"))
        });
        let metrics_port = metrics_port.transpose()?;
        let services = services(&settings, clock, Some(hang_up)).await?;
        let opened = Self::open(port, metrics_port, services.clone(), &settings).await;
        if opened.is_err() {
            services.stop().await;
        }
        opened
    }

    /// Answers from now on, once it is run.
    async fn open(
        port: Port,
        metrics_port: Option<Port>,
        services: Services,
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        let setup_link = first_admin(&services, settings).await?;
        let capacity = Capacity {
            workers: settings.server.workers,
            connections: connections(settings.server.workers),
        };
        let address = port.address()?;
        let listener = port.open().with_context(|| cannot_listen(address))?;
        let server = serve(listener, services.clone(), capacity)?;
        let metrics = metrics_port.map(|port| {
            let (listener, address) = (port.open()?, port.address()?);
            std::io::Result::Ok((serve_metrics(listener, services.clone())?, address))
        });
        let is_alone = settings.database.is_sqlite();
        let application = Self {
            server,
            port,
            signals: Orders::new()
                .with_signals()
                .context("cannot listen to signals")?,
            grace: Grace::of(settings.server.shutdown_grace, is_alone),
            address,
            metrics: metrics.transpose()?,
            services,
            setup_link,
        };
        tell_limits(application.instance(), settings, capacity);
        Ok(application)
    }

    /// Where the first admin is set up, while there is none.
    #[must_use]
    pub fn setup_link(&self) -> Option<&str> {
        self.setup_link.as_deref()
    }

    /// The port that was bound, which is one of the system's choice if
    /// `server.bind` asks for port 0.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `GET /metrics` is answered, if it is anywhere.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// As which the other instances know this one.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.services.sessions().instance()
    }

    /// Answers requests until SIGTERM or SIGINT; see [`Stop`] for what then. At SIGHUP,
    /// and when their file has changed, reads the keys again.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            mut server,
            metrics,
            services,
            port,
            signals,
            grace,
            ..
        } = self;
        let (instance, since) = (services.sessions().instance(), Instant::now());
        // How the last requests fare is told, too.
        let metrics = metrics.map(|(server, _)| AbortOnDropHandle::new(tokio::spawn(server)));
        let stopped = stopped(signals, server.handle(), port, services.ending(), grace);
        tokio::select! {
            ended = &mut server => ended?,
            () = stopped => drop(server),
        }
        if timeout(grace.last_words, services.stop()).await.is_err() {
            tracing::warn!("server.shutdown_grace is over: the stores do not answer");
        }
        drop(metrics);
        let seconds = since.elapsed().as_secs();
        tracing::info!(%instance, seconds, "stopped");
        Ok(())
    }

    /// Ends [`Application::run`].
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.signals.handle()
    }
}

fn cannot_listen(bind: SocketAddr) -> String {
    format!("cannot listen on server.bind, {bind}")
}

/// Once, at the start: what runs here, on what, and within which limits.
fn tell_limits(instance: InstanceId, settings: &Settings, capacity: Capacity) {
    let Settings {
        server,
        database,
        redis,
        session,
        password,
        throttle,
        ..
    } = settings;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %instance,
        address = %server.bind,
        public_url = server.public_url.origin(),
        ledger = database.system(),
        ledger_connections = database.max_connections,
        hot_store = redis.system(),
        hot_store_connections = redis.url.as_ref().map(|_| MAX_CONNECTIONS),
        workers = capacity.workers,
        connections = capacity.workers * capacity.connections,
        lease = ?session.lease,
        poll_interval = ?session.poll_interval,
        ledger_grace = ?session.ledger_grace,
        ledger_reads = session.ledger_reads,
        cache_capacity = session.cache_capacity,
        view_capacity = session.view_capacity,
        bcrypt_cost = password.bcrypt_cost.get(),
        hash_concurrency = password.hash_concurrency,
        max_attempts = throttle.per_account,
        body_timeout = ?server.body_timeout,
        shutdown_grace = ?server.shutdown_grace,
        "started"
    );
}

/// As many connections for each thread as this process may have files, less what it needs
/// otherwise: more would take the stores away from those there are. What the system lets
/// it ask for, it asks for first.
fn connections(workers: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let clients = files.map(|files| files.saturating_sub(OTHER_FILES).max(OTHER_FILES));
    let each = clients.map_or(CONNECTIONS, |all| {
        CONNECTIONS.min(all / u64::try_from(workers).unwrap_or(u64::MAX))
    });
    usize::try_from(each.max(1)).unwrap_or(usize::MAX)
}

/// Creates the first admin as configured, or makes a link to set one up.
async fn first_admin(services: &Services, settings: &Settings) -> anyhow::Result<Option<String>> {
    let (accounts, act) = (
        services.accounts(),
        services.sessions().act(Actor::Operator, Source::default()),
    );
    let Some(bootstrap) = &settings.bootstrap else {
        let link = accounts.issue_setup_link(Earlier::Kept, act).await?;
        return Ok(link.map(|link| services.links().setup(&link.token)));
    };
    let by = SetUp {
        account: NewAccount {
            email: bootstrap.email.clone(),
            name: UserName::parse("Administrator")?,
            role: Role::Admin,
        },
        password: bootstrap.password(&settings.password_policy())?,
    };
    match accounts.bootstrap(by, act).await? {
        FirstAdmin::Created | FirstAdmin::Exists => Ok(None),
        FirstAdmin::EmailTaken => bail!(
            "bootstrap_admin_email is the address of a user who cannot administer, maybe of \
             somebody else who has registered it: name another, or, if it is not you, `gatelodge \
             users delete` them; if it is, see `users set-role`, `unlock` and `password-link`"
        ),
    }
}

/// What an app of one's own needs to use [`Gate`](crate::Gate): the same parts
/// as in [`Application`], without a server. Listens to no signal; keys are read again
/// when their file has changed.
///
/// # Errors
/// If a store does not answer.
pub async fn connect(settings: &Settings) -> anyhow::Result<Services> {
    services(settings, Clock::new(), None).await
}

/// Brings the ledger's schema up to date, and tells of each migration when it is made.
///
/// # Errors
/// If the ledger does not answer, or a migration fails.
pub async fn migrate(settings: &Settings, told: impl FnMut(&Applied)) -> anyhow::Result<()> {
    let ledger = open_ledger(&settings.database).await?;
    let migrated = ledger.migrate_telling(told).await;
    ledger.close().await;
    migrated
}

async fn open_ledger(database: &config::Database) -> anyhow::Result<Ledger> {
    if let Some(directory) = database.data_directory() {
        create_private_directory(&directory)?;
    }
    Ledger::connect(&database.url, database.max_connections).await
}

/// Of which the keys are read again when their file has changed, or at `reload`.
async fn services(
    settings: &Settings,
    clock: Clock,
    reload: Option<Signal>,
) -> anyhow::Result<Services> {
    let mut ledger = open_ledger(&settings.database).await?;
    ledger.claim()?;
    let keys = Keys::read(settings)?;
    let Operator {
        accounts,
        sessions,
        links,
        ..
    } = assemble(ledger, settings, &keys, clock).await?;
    let tokens = &settings.tokens;
    let mint = Arc::new(Mint::new(
        Arc::clone(&sessions),
        settings.issuer(),
        tokens.templates.clone(),
        tokens.keys.clone(),
    ));
    keys.follow(&mint, tokens, reload);
    Ok(Services::new(accounts, sessions, mint, links, settings))
}

/// What a command works with, beside a service that may be running.
pub struct Operator {
    pub accounts: Arc<Accounts>,
    pub sessions: Arc<Sessions>,
    pub links: Links,
    pub password_policy: PasswordPolicy,
}

/// Connects a command to the stores.
///
/// # Errors
/// If a store does not answer, or there is no SQLite database yet: made in the
/// wrong folder, it would look like an empty one.
pub async fn operate(settings: &Settings) -> anyhow::Result<Operator> {
    require_database(settings)?;
    let ledger = open_ledger(&settings.database).await?;
    assemble(ledger, settings, &Keys::read(settings)?, Clock::new()).await
}

fn require_database(settings: &Settings) -> anyhow::Result<()> {
    if let Some(file) = settings.database.file() {
        ensure!(
            file.exists(),
            "there is no database {}: name it by database.url, or run the command in the folder \
             that the service runs in. To begin with a new one, run `gatelodge migrate` first",
            file.display()
        );
    }
    Ok(())
}

async fn assemble(
    ledger: Ledger,
    settings: &Settings,
    keys: &Keys,
    clock: Clock,
) -> anyhow::Result<Operator> {
    if settings.database.migrate {
        ledger.migrate().await?;
    } else {
        ledger.check_schema().await?;
    }
    let keys = keys.ring();
    let redis = redis(&settings.redis)?;
    let key_prefix = &settings.redis.key_prefix;
    let hot = redis
        .clone()
        .map(|redis| HotStore::new(redis, key_prefix, Arc::clone(&keys)));
    let bus = redis.map(|redis| Bus::new(redis, key_prefix, Arc::clone(&keys)));
    let policy = policy(settings);
    let sessions = Sessions::start(ledger.clone(), hot, bus, keys, clock, policy).await?;
    let password = &settings.password;
    let hasher = Hasher::start(
        password.bcrypt_cost,
        password.hash_concurrency,
        password.hash_queue,
    )?;
    let accounts = Accounts::new(
        ledger,
        Arc::clone(&sessions),
        hasher,
        settings.throttle,
        settings.registration.enabled,
        settings.exchange.clone(),
    );
    Ok(Operator {
        accounts: Arc::new(accounts),
        sessions,
        links: Links::new(&settings.server.public_url),
        password_policy: settings.password_policy(),
    })
}

fn redis(settings: &config::Redis) -> anyhow::Result<Option<Redis>> {
    let Some(url) = &settings.url else {
        return Ok(None);
    };
    Redis::new(url, settings.ca.as_deref(), settings.command_timeout)
        .context("redis.url is not usable")
        .map(Some)
}

const fn policy(settings: &Settings) -> Policy {
    let session = &settings.session;
    Policy {
        lifetime: Lifetime {
            idle: session.idle_timeout,
            absolute: session.lifetime,
        },
        remembered_lifetime: Lifetime {
            idle: session.remember_idle_timeout,
            absolute: session.remember_lifetime,
        },
        max_per_user: session.max_per_user,
        lease: session.lease,
        poll_interval: session.poll_interval,
        ledger_grace: session.ledger_grace,
        cache_capacity: session.cache_capacity,
        view_capacity: session.view_capacity,
        tells: !settings.revocations.credentials.is_empty(),
        ledger_reads: session.ledger_reads,
        audit_retention: settings.audit.retention,
    }
}

fn create_private_directory(directory: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("cannot create {}", directory.display()))
}
