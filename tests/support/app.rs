//! Instances of the service, in this process and on servers of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use gatelodge::Application;
use gatelodge::config::Settings;
use gatelodge::sessions::Clock;
use gatelodge::startup::{Handle, Stop, generate_key};
use gatelodge::store::ledger::Ledger;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::browser::Browser;
use super::feed::{CREDENTIAL, Service};
use super::servers::{POSTGRES, REDIS, connection_to};

/// The two ways to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// SQLite, and no hot store.
    Embedded,
    /// PostgreSQL and Redis.
    Scaled,
}

/// A running instance, with a database, a key prefix and a clock of its own.
pub struct TestApp {
    pub address: std::net::SocketAddr,
    pub clock: Clock,
    environment: BTreeMap<String, String>,
    file: PathBuf,
    /// Where the first admin is set up, if there is none.
    pub setup_link: Option<String>,
    handle: Handle,
    runs: JoinHandle<anyhow::Result<()>>,
    _stores: Option<Stores>,
}

/// What a test's instances share, and what is left of it afterwards.
struct Stores {
    _data: TempDir,
    _database: Option<TestDatabase>,
}

impl TestApp {
    pub async fn spawn(stack: Stack) -> Self {
        Self::spawn_with(stack, &[]).await
    }

    /// With settings other than the tests' usual ones, by their variables.
    pub async fn spawn_with(stack: Stack, settings: &[(&str, &str)]) -> Self {
        Self::spawn_with_file(stack, settings, "").await
    }

    /// The same, and a file such as `gatelodge.toml` for what no variable can say.
    pub async fn spawn_with_file(stack: Stack, settings: &[(&str, &str)], file: &str) -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let mut environment = BTreeMap::from(
            [
                ("GATELODGE_SERVER__BIND", "127.0.0.1:0"),
                ("GATELODGE_SERVER__WORKERS", "1"),
                ("GATELODGE_PASSWORD__BCRYPT_COST", "4"),
                ("GATELODGE_DATABASE__MAX_CONNECTIONS", "5"),
                ("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", ADMIN),
                ("GATELODGE_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD),
                ("GATELODGE_REVOCATIONS__CREDENTIALS", CREDENTIAL),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let mut database = None;
        match stack {
            Stack::Embedded => {
                let path = data.path().join("gatelodge.db");
                environment.insert(
                    "DATABASE_URL".to_owned(),
                    format!("sqlite://{}", path.display()),
                );
            }
            Stack::Scaled => {
                let created = TestDatabase::create().await;
                environment.insert("DATABASE_URL".to_owned(), created.url.clone());
                environment.insert("REDIS_URL".to_owned(), REDIS.url.clone());
                environment.insert(
                    "GATELODGE_REDIS__KEY_PREFIX".to_owned(),
                    created.name.clone(),
                );
                environment.insert("GATELODGE_SECRETS__KEYS".to_owned(), generate_key());
                database = Some(created);
            }
        }
        for (name, value) in settings {
            environment.insert((*name).to_owned(), (*value).to_owned());
        }
        let path = data.path().join("gatelodge.toml");
        std::fs::write(&path, file).expect("a file");
        let stores = Stores {
            _data: data,
            _database: database,
        };
        Self::start(environment, path, Clock::new(), Some(stores)).await
    }

    /// Another instance on the same stores and with the same clock.
    pub async fn another_instance(&self) -> Self {
        let (environment, file) = (self.environment.clone(), self.file.clone());
        Self::start(environment, file, self.clock.clone(), None).await
    }

    async fn start(
        environment: BTreeMap<String, String>,
        file: PathBuf,
        clock: Clock,
        stores: Option<Stores>,
    ) -> Self {
        let settings = Settings::load(Some(&file), environment.clone()).expect("valid settings");
        let application = Application::build_with_clock(settings, clock.clone())
            .await
            .expect("the application builds");
        let (address, handle) = (application.address(), application.handle());
        let setup_link = application.setup_link().map(str::to_owned);
        let runs = tokio::spawn(application.run());
        Self {
            address,
            clock,
            environment,
            file,
            setup_link,
            handle,
            runs,
            _stores: stores,
        }
    }

    /// Ends this instance as SIGINT does, and waits until it has ended.
    pub async fn stop(&mut self) {
        self.tell(Stop::Finish);
        self.ended().await;
    }

    /// Tells this instance to end, in that way.
    pub fn tell(&self, stop: Stop) {
        self.handle.stop(stop);
    }

    /// Waits until this instance has ended.
    pub async fn ended(&mut self) {
        let ended = (&mut self.runs).await.expect("no panic");
        ended.expect("it stops");
    }

    /// The variables this instance was configured with.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    pub fn database_url(&self) -> &str {
        &self.environment["DATABASE_URL"]
    }

    /// The copies that this instance and those beside it have in Redis, by their keys.
    pub async fn redis_keys(&self) -> Vec<Vec<u8>> {
        let prefix = &self.environment["GATELODGE_REDIS__KEY_PREFIX"];
        let mut redis = connection_to(&self.environment["REDIS_URL"]).await;
        let mut keys = redis::cmd("KEYS");
        let keys = keys.arg(format!("{prefix}:s:*")).query_async(&mut redis);
        keys.await.expect("Redis answers")
    }

    /// What the one copy in Redis is, if there is one.
    pub async fn redis_copy(&self) -> Option<Vec<u8>> {
        let keys = self.redis_keys().await;
        assert!(keys.len() <= 1, "{} copies", keys.len());
        let mut redis = connection_to(&self.environment["REDIS_URL"]).await;
        let mut get = redis::cmd("GET");
        let copy = get.arg(keys.first()?).query_async(&mut redis);
        copy.await.expect("Redis answers")
    }

    /// Deletes all sessions from the ledger, behind the service's back.
    pub async fn lose_sessions(&self) {
        let ledger = PgConnection::connect(self.database_url()).await;
        let deleted = sqlx::query("delete from sessions")
            .execute(&mut ledger.expect("PostgreSQL answers"))
            .await;
        assert_ne!(deleted.expect("it is done").rows_affected(), 0);
    }

    /// Drops all copies in Redis.
    pub async fn empty_redis(&self) {
        let keys = self.redis_keys().await;
        assert!(!keys.is_empty(), "there is something to drop");
        let mut redis = connection_to(&self.environment["REDIS_URL"]).await;
        let dropped = redis::cmd("DEL").arg(keys).exec_async(&mut redis).await;
        dropped.expect("Redis answers");
    }

    /// Whether anybody may talk to the ledger from now on, with a connection that
    /// there is or a new one.
    pub async fn allow_ledger(&self, allowed: bool) {
        let (_, name) = self.database_url().rsplit_once('/').expect("a name");
        for statement in [
            format!("alter database {name} allow_connections {allowed}"),
            format!(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
            ),
        ] {
            run_as_admin(statement).await.expect("the server does it");
        }
    }

    /// A browser that knows this instance, and has no cookie.
    pub fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// A service that hears of revocations from this instance.
    pub fn service(&self) -> Service {
        Service::of(self.address)
    }

    /// Does something to the ledger, behind the service's back.
    pub async fn change_ledger(&self, statement: &'static str) {
        let url = self.database_url();
        if url.starts_with("sqlite:") {
            let ledger = SqliteConnection::connect(url).await;
            let mut ledger = ledger.expect("a database");
            sqlx::raw_sql(statement)
                .execute(&mut ledger)
                .await
                .map(drop)
        } else {
            let ledger = PgConnection::connect(url).await;
            let mut ledger = ledger.expect("PostgreSQL answers");
            sqlx::raw_sql(statement)
                .execute(&mut ledger)
                .await
                .map(drop)
        }
        .expect("it is done");
    }

    /// A browser logged in as a user just registered.
    pub async fn registered(&self, email: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.register(email, PASSWORD).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        browser
    }

    /// A browser logged in as a user who exists.
    pub async fn logged_in(&self, email: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.log_in(email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        browser
    }

    /// A browser logged in as the admin there is from the start.
    pub async fn admin(&self) -> Browser {
        self.logged_in(ADMIN).await
    }

    pub fn let_pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

/// What everybody's password is unless a test is about passwords.
pub const PASSWORD: &str = "correct horse battery staple";

impl Drop for TestApp {
    fn drop(&mut self) {
        self.handle.stop(Stop::Cut);
    }
}

/// Who is an admin from the start, unless a test is about having none.
pub const ADMIN: &str = "root@example.com";

/// Settings for an instance without an admin.
pub const NO_ADMIN: [(&str, &str); 2] = [
    ("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", ""),
    ("GATELODGE_BOOTSTRAP_ADMIN_PASSWORD", ""),
];

/// An empty database with a name of its own. On a server that is not ours it is
/// dropped again.
pub struct TestDatabase {
    pub name: String,
    pub url: String,
}

impl TestDatabase {
    pub async fn create() -> Self {
        let name = format!("gatelodge_test_{}", uuid::Uuid::now_v7().simple());
        run_as_admin(format!("create database {name}"))
            .await
            .expect("a database is created");
        let (server, _) = POSTGRES
            .url
            .rsplit_once('/')
            .expect("the URL names a database");
        let url = format!("{server}/{name}");
        Self { name, url }
    }
}

/// A database with a million sessions of a hundred thousand users in it, on the day
/// that began at 1 799 913 600 s.
pub async fn crowd() -> TestDatabase {
    let database = TestDatabase::create().await;
    let ledger = Ledger::connect(&database.url, 2).await;
    let ledger = ledger.expect("a ledger");
    ledger.migrate().await.expect("a schema");
    let connection = PgConnection::connect(&database.url).await;
    let mut connection = connection.expect("PostgreSQL answers");
    sqlx::raw_sql(include_str!("population.sql"))
        .execute(&mut connection)
        .await
        .expect("everybody is there");
    // What the server would do in the background, while something is measured.
    for chore in ["vacuum analyze", "checkpoint"] {
        let done = sqlx::raw_sql(chore).execute(&mut connection).await;
        done.expect("the server keeps house");
    }
    database
}

async fn run_as_admin(statement: String) -> Result<(), sqlx::Error> {
    let mut admin = PgConnection::connect(&POSTGRES.url).await?;
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut admin)
        .await?;
    admin.close().await
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if POSTGRES.is_ours {
            return;
        }
        let statement = format!("drop database {} with (force)", self.name);
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .expect("a runtime")
                .block_on(run_as_admin(statement))
        });
        let _ = dropped.join();
    }
}
