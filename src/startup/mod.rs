//! The composition root: puts the parts together, in production and in tests
//! alike.

mod application;
mod backup;
mod examination;
mod first_admin;
mod keys;
mod port;
mod stop;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tokio::signal::unix::Signal;

use crate::accounts::{Accounts, Hasher};
use crate::config::{self, Settings};
use crate::domain::password::PasswordPolicy;
use crate::domain::session::Lifetime;
use crate::http::{Links, Services};
use crate::sessions::{Clock, Mint, Policy, Sessions};
use crate::store::bus::Bus;
use crate::store::hot::HotStore;
use crate::store::ledger::{Applied, Ledger};
use crate::store::redis::Redis;

pub use application::Application;
pub use backup::{Copied, Existing, back_up, restore};
pub use examination::examine;
pub use keys::{generate_key, write_key};
pub use stop::{Handle, Stop, stop_signal};

use keys::Keys;

/// What an app of one's own needs to use [`Gate`](crate::Gate): the same parts as in
/// [`Application`], without a server, logs, metrics and signals. Creates the first admin if one
/// is configured, and reads keys again when their file has changed.
///
/// For the other instances, this is one more: call it once, on a runtime that outlives all
/// requests, and end with [`Services::stop`].
///
/// # Errors
/// As at the start of the service: if a store does not answer, the schema cannot be brought up to
/// date, keys cannot be read, another process serves from the same SQLite database, or the address
/// of the first admin who is configured belongs to a user who cannot administer.
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
    let services = Services::new(accounts, sessions, mint, links, settings);
    if let Some(bootstrap) = &settings.bootstrap
        && let Err(error) = first_admin::create(&services, bootstrap, settings).await
    {
        services.stop().await;
        return Err(error);
    }
    Ok(services)
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
        serves_feed: !settings.revocations.credentials.is_empty(),
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
