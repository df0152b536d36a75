//! Three instances of the program, A, B and C, each with a network of its own to
//! PostgreSQL and another to a Redis that nobody else uses.

use std::net::SocketAddr;
use std::ops::Index;
use std::time::Duration;

use gatelodge::startup::generate_key;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::support::app::{ADMIN, PASSWORD, TestDatabase};
use crate::support::program::{Program, command};
use crate::support::proxy::FaultProxy;
use crate::support::servers::{OwnPostgres, OwnRedis, free_port};
use crate::support::{Browser, within};

/// An instance, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    A,
    B,
    C,
}

pub use At::{A, B, C};

pub const EVERYWHERE: [At; 3] = [A, B, C];

/// What the scenarios run with unless one says otherwise; the poll's interval is
/// the default.
pub const LEASE: Duration = Duration::from_secs(2);

/// For how long the service may need to be as before, once the other side is (P8).
pub const RECOVERY: Duration = Duration::from_secs(10);

pub struct Deployment {
    instances: [Instance; 3],
    pub redis: OwnRedis,
    pub ledger: Ledger,
    /// The instances' only key, as long as nobody gives them others.
    pub key: String,
    _turn: SemaphorePermit<'static>,
}

/// A database on the server that all tests share, or a server.
pub enum Ledger {
    Shared(TestDatabase),
    Own(OwnPostgres),
}

pub struct Instance {
    program: Program,
    /// Between it and the ledger.
    pub to_ledger: FaultProxy,
    pub to_redis: FaultProxy,
    environment: Vec<(String, String)>,
    folder: TempDir,
}

/// How many scenarios run at once. Those that measure run alone.
static TURNS: Semaphore = Semaphore::const_new(SCENARIOS_AT_ONCE as usize);
const SCENARIOS_AT_ONCE: u32 = 2;

/// Whether the machine is the scenario's alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Company {
    Others,
    Nobody,
}

impl Deployment {
    /// On the server that all tests share, for scenarios that leave it alone.
    pub async fn start(company: Company, settings: &[(&str, &str)]) -> Self {
        let turn = turn(company).await;
        let database = TestDatabase::create().await;
        Self::on(Ledger::Shared(database), turn, settings).await
    }

    /// On a PostgreSQL of its own.
    pub async fn with_own_postgres(settings: &[(&str, &str)]) -> Self {
        let turn = turn(Company::Others).await;
        Self::on(Ledger::Own(OwnPostgres::start()), turn, settings).await
    }

    async fn on(ledger: Ledger, turn: SemaphorePermit<'static>, settings: &[(&str, &str)]) -> Self {
        let redis = OwnRedis::start();
        let (database_url, redis_url) = (ledger.url(), redis.url());
        let key = generate_key();
        let start = |_| Instance::start(&database_url, &redis_url, &key, settings);
        // The first has the schema to make and an admin.
        let instances = EVERYWHERE.map(start);
        let deployment = Self {
            instances,
            redis,
            ledger,
            key,
            _turn: turn,
        };
        for at in EVERYWHERE {
            deployment[at].is_ready().await;
        }
        deployment
    }

    pub fn instance_mut(&mut self, at: At) -> &mut Instance {
        &mut self.instances[at as usize]
    }

    /// The instances reach the ledger there from now on, if they connect anew.
    pub fn lead_to(&self, address: SocketAddr) {
        for instance in &self.instances {
            instance.to_ledger.lead_to(address);
        }
    }

    pub fn primary(&self) -> &OwnPostgres {
        match &self.ledger {
            Ledger::Own(postgres) => postgres,
            Ledger::Shared(_) => panic!("the server is everybody's"),
        }
    }

    pub fn own_postgres(&mut self) -> &mut OwnPostgres {
        match &mut self.ledger {
            Ledger::Own(postgres) => postgres,
            Ledger::Shared(_) => panic!("the server is everybody's"),
        }
    }
}

impl Index<At> for Deployment {
    type Output = Instance;

    fn index(&self, at: At) -> &Instance {
        &self.instances[at as usize]
    }
}

async fn turn(company: Company) -> SemaphorePermit<'static> {
    let turns = match company {
        Company::Others => 1,
        Company::Nobody => SCENARIOS_AT_ONCE,
    };
    TURNS.acquire_many(turns).await.expect("a turn")
}

impl Ledger {
    pub fn url(&self) -> String {
        match self {
            Self::Shared(database) => database.url.clone(),
            Self::Own(postgres) => postgres.url(),
        }
    }
}

impl Instance {
    fn start(database_url: &str, redis_url: &str, key: &str, settings: &[(&str, &str)]) -> Self {
        let (to_ledger, database_url) = FaultProxy::before_url(database_url);
        let (to_redis, redis_url) = FaultProxy::before_url(redis_url);
        // Started again, it is found where it was.
        let address = format!("127.0.0.1:{}", free_port());
        let usual = [
            ("GATELODGE_SERVER__BIND", address.as_str()),
            ("GATELODGE_SERVER__WORKERS", "1"),
            ("GATELODGE_SERVER__SHUTDOWN_GRACE", "8s"),
            ("GATELODGE_DATABASE__MAX_CONNECTIONS", "8"),
            ("GATELODGE_SESSION__LEASE", "2s"),
            ("GATELODGE_LOG__LEVEL", "warn"),
            ("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", ADMIN),
            ("GATELODGE_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD),
            ("GATELODGE_SECRETS__KEYS_FILE", KEYS),
            ("DATABASE_URL", &database_url),
            ("REDIS_URL", &redis_url),
        ];
        let environment = usual.iter().chain(settings);
        let environment: Vec<_> = environment
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let folder = tempfile::tempdir().expect("a temporary directory");
        write_keys(&folder, &[key]);
        Self {
            program: run(&folder, &environment),
            to_ledger,
            to_redis,
            environment,
            folder,
        }
    }

    /// After it has ended: as before, at the same address.
    pub fn start_again(&mut self) {
        self.program = run(&self.folder, &self.environment);
    }

    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    pub fn address(&self) -> SocketAddr {
        self.program.address
    }

    pub fn browser(&self) -> Browser {
        self.program.browser()
    }

    pub fn signal(&self, name: &str) {
        self.program.signal(name);
    }

    /// Puts other keys in the place where this one reads them.
    pub fn set_keys(&self, keys: &[&str]) {
        write_keys(&self.folder, keys);
    }

    pub fn log(&self) -> String {
        self.program.log()
    }

    pub async fn is_ready(&self) {
        within(RECOVERY, "the instance is ready", async || {
            self.browser().get("/health/ready").await.status == 200
        })
        .await;
    }
}

/// Of each instance its own, in its folder.
const KEYS: &str = "keys";

fn write_keys(folder: &TempDir, keys: &[&str]) {
    std::fs::write(folder.path().join(KEYS), keys.join("\n")).expect("a file of keys");
}

fn run(folder: &TempDir, environment: &[(String, String)]) -> Program {
    let mut command = command(folder.path());
    command.envs(
        environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    Program::run(command)
}

/// How many of the last lines of a log are shown.
const SHOWN: usize = 10;

impl Drop for Instance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.program.log();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(SHOWN)..];
            println!("{} said last:\n{}", self.address(), last.join("\n"));
        }
    }
}
