//! The composition root: puts the parts together, in production and in tests
//! alike.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer};
use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::signal::unix::{SignalKind, signal};
use tracing_actix_web::TracingLogger;

use crate::accounts::{Accounts, Earlier, FirstAdmin, Hasher, NewAccount, SetUp};
use crate::config::{self, Settings, secret_key};
use crate::domain::audit::Actor;
use crate::domain::keys::{KEY_LENGTH, KeyRing, SecretKey};
use crate::domain::password::PasswordPolicy;
use crate::domain::session::Lifetime;
use crate::domain::user::{Role, UserName};
use crate::entropy;
use crate::http::{Links, RequestSpan, Services};
use crate::sessions::{Clock, Policy, Sessions};
use crate::store::bus::Bus;
use crate::store::hot::HotStore;
use crate::store::ledger::Ledger;
use crate::store::redis::Redis;

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection goes on that was answered before its request had ended, so
/// that the client can read the answer.
const FAREWELL: Duration = Duration::from_secs(3);

/// The service, built and bound, but not yet answering.
pub struct Application {
    server: Server,
    address: SocketAddr,
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
        let listener = TcpListener::bind(settings.server.bind)
            .with_context(|| format!("cannot listen on server.bind, {}", settings.server.bind))?;
        let address = listener.local_addr()?;
        settings.server.bind = address;
        let services = services(&settings, clock).await?;
        let setup_link = match first_admin(&services, &settings).await {
            Ok(link) => link,
            Err(error) => {
                services.stop().await;
                return Err(error);
            }
        };

        let shared = services.clone();
        let server = HttpServer::new(move || {
            App::new()
                .configure(|app| shared.mount(app))
                .configure(Services::mount_fallback)
                .wrap(TracingLogger::<RequestSpan>::new())
        })
        .workers(settings.server.workers)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(FAREWELL)
        .shutdown_signal(stop_signal())
        .shutdown_timeout(settings.server.shutdown_grace.as_secs().max(1))
        .listen(listener)?
        .run();
        Ok(Self {
            server,
            address,
            services,
            setup_link,
        })
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

    /// Answers requests until SIGTERM or SIGINT; then finishes those under way.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            server, services, ..
        } = self;
        server.await?;
        services.stop().await;
        Ok(())
    }

    /// Ends [`Application::run`] as SIGTERM does.
    #[must_use]
    pub fn handle(&self) -> actix_web::dev::ServerHandle {
        self.server.handle()
    }
}

/// Resolves at SIGTERM or SIGINT.
async fn stop_signal() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Creates the first admin as configured, or makes a link to set one up.
async fn first_admin(services: &Services, settings: &Settings) -> anyhow::Result<Option<String>> {
    let (accounts, act) = (
        services.accounts(),
        services.sessions().act(Actor::Operator, None),
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
/// as in [`Application`], without a server.
///
/// # Errors
/// If a store does not answer.
pub async fn connect(settings: &Settings) -> anyhow::Result<Services> {
    services(settings, Clock::new()).await
}

/// Connects to the ledger and brings its schema up to date.
///
/// # Errors
/// If the ledger does not answer, or a migration fails.
pub async fn migrated_ledger(settings: &Settings) -> anyhow::Result<Ledger> {
    let ledger = open_ledger(&settings.database).await?;
    ledger.migrate().await?;
    Ok(ledger)
}

async fn open_ledger(database: &config::Database) -> anyhow::Result<Ledger> {
    if let Some(directory) = database.data_directory() {
        create_private_directory(&directory)?;
    }
    Ledger::connect(&database.url, database.max_connections).await
}

async fn services(settings: &Settings, clock: Clock) -> anyhow::Result<Services> {
    let mut ledger = open_ledger(&settings.database).await?;
    ledger.claim()?;
    let Operator {
        accounts,
        sessions,
        links,
        ..
    } = assemble(ledger, settings, clock).await?;
    Ok(Services::new(accounts, sessions, links, settings))
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
    if let Some(file) = settings.database.file() {
        ensure!(
            file.exists(),
            "there is no database {}: name it by database.url, or run the command in the folder \
             that the service runs in (`gatelodge migrate` makes a new one)",
            file.display()
        );
    }
    let ledger = open_ledger(&settings.database).await?;
    assemble(ledger, settings, Clock::new()).await
}

async fn assemble(ledger: Ledger, settings: &Settings, clock: Clock) -> anyhow::Result<Operator> {
    if settings.database.migrate {
        ledger.migrate().await?;
    } else {
        ledger.check_schema().await?;
    }
    let keys = Arc::new(key_ring(settings)?);
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
        settings.registration.enabled,
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
        ledger_reads: session.ledger_reads,
        audit_retention: settings.audit.retention,
    }
}

fn key_ring(settings: &Settings) -> anyhow::Result<KeyRing> {
    match (
        settings.secrets.keys.split_first(),
        settings.database.data_directory(),
    ) {
        (Some((first, others)), _) => Ok(KeyRing::new(first, others)),
        (None, Some(directory)) => Ok(KeyRing::new(&embedded_key(&directory)?, &[])),
        (None, None) => bail!("secrets.keys is missing"),
    }
}

/// The key of an embedded instance, generated when it is first asked for.
fn embedded_key(directory: &Path) -> anyhow::Result<SecretKey> {
    let path = directory.join("gatelodge.key");
    if !path.exists() {
        write_key(&path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    secret_key(text.trim())
        .map_err(|right| anyhow::anyhow!("{} is damaged; it takes {right}", path.display()))
}

/// Writes a new key for its owner alone, whole or not at all; `false` if there is
/// a file already, which is left as it is.
///
/// # Errors
/// If it cannot be written.
pub fn write_key(path: &Path) -> std::io::Result<bool> {
    let suffix = u64::from_ne_bytes(entropy::random());
    let unfinished = path.with_extension(format!("{suffix:016x}"));
    let mut file = OpenOptions::new()
        .write(true)
        .mode(0o600)
        .create_new(true)
        .open(&unfinished)?;
    let written = writeln!(file, "{}", generate_key()).and_then(|()| file.sync_all());
    // Unlike a move, a link does not take the place of a file.
    let linked = written.and_then(|()| fs::hard_link(&unfinished, path));
    fs::remove_file(&unfinished)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// A new key, in the base64 that `secrets.keys` takes.
#[must_use]
pub fn generate_key() -> String {
    STANDARD.encode(entropy::random::<KEY_LENGTH>())
}

fn create_private_directory(directory: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("cannot create {}", directory.display()))
}
