//! The service as a process: its ports, its first admin, and its end.

use std::net::SocketAddr;
use std::time::Instant;

use actix_web::dev::Server;
use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::first_admin::setup_link;
use super::port::Port;
use super::services;
use super::stop::{Grace, Handle, Orders, Signals, stopped};
use crate::config::Settings;
use crate::domain::id::InstanceId;
use crate::http::{Capacity, Services, serve, serve_metrics};
use crate::sessions::Clock;
use crate::store::redis::MAX_CONNECTIONS;

/// Connections at once that a thread takes, if the system lets it.
const CONNECTIONS: u64 = 25_000;

/// Open files that are not clients: stores, logs, and what a command may need.
pub(super) const OTHER_FILES: u64 = 256;

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
        let setup_link = match settings.bootstrap {
            Some(_) => None,
            None => setup_link(&services).await?,
        };
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

    /// Answers requests until SIGTERM or SIGINT; see [`Stop`](super::Stop) for what then. At SIGHUP,
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
