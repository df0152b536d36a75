//! Three instances of the program on one PostgreSQL and one Redis.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gatelodge::startup::generate_key;
use tempfile::TempDir;

use crate::support::app::{ADMIN, PASSWORD, TestDatabase};
use crate::support::program::{Program, command, command_of};
use crate::support::servers::{REDIS, free_port};
use crate::support::{Browser, within};

/// `server.shutdown_grace`: a fifth of what it is by default, so that they drain for a
/// second, and a request has as long after that as it may take.
pub const BRIEF: &str = "4s";

/// How long an instance may take to stop, or to start.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Fleet {
    instances: [Program; 3],
    environments: [Vec<(String, String)>; 3],
    folder: TempDir,
    _database: TestDatabase,
    /// Of programs that have ended.
    earlier_logs: String,
}

/// Which build of the program an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    New,
    /// The one that `GATELODGE_OLD_BINARY` names; as new, if it names none.
    Old,
}

impl Fleet {
    pub async fn start(build: Build, grace: &str) -> Self {
        let database = TestDatabase::create().await;
        let folder = tempfile::tempdir().expect("a temporary directory");
        let key = generate_key();
        let environment = |_| {
            [
                // Started again, it is found where it was.
                (
                    "GATELODGE_SERVER__BIND",
                    &*format!("127.0.0.1:{}", free_port()),
                ),
                ("GATELODGE_SERVER__WORKERS", "2"),
                ("GATELODGE_SERVER__SHUTDOWN_GRACE", grace),
                ("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1"),
                ("GATELODGE_DATABASE__MAX_CONNECTIONS", "8"),
                ("GATELODGE_REDIS__COMMAND_TIMEOUT", "1s"),
                ("GATELODGE_LOG__LEVEL", "info"),
                ("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", ADMIN),
                ("GATELODGE_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD),
                ("GATELODGE_SECRETS__KEYS", &key),
                ("DATABASE_URL", &database.url),
                ("REDIS_URL", &REDIS.url),
                ("GATELODGE_REDIS__KEY_PREFIX", &database.name),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
        };
        let environments = [0, 1, 2].map(environment);
        let folder_path = folder.path();
        let instances = [0, 1, 2].map(|at: usize| {
            let environment: &Vec<_> = &environments[at];
            run(build, folder_path, environment)
        });
        Self {
            instances,
            environments,
            folder,
            _database: database,
            earlier_logs: String::new(),
        }
    }

    pub fn addresses(&self) -> [SocketAddr; 3] {
        [0, 1, 2].map(|at| self.instances[at].address)
    }

    pub fn browser(&self, at: usize) -> Browser {
        self.instances[at].browser()
    }

    pub fn instance(&mut self, at: usize) -> &mut Program {
        &mut self.instances[at]
    }

    /// What the instances have logged that is no matter of course.
    pub fn complaints(&self) -> String {
        let logs = self.instances.iter().map(Program::log).collect::<String>();
        let logs = self.earlier_logs.clone() + &logs;
        let lines = logs.lines().filter(|line| !line.contains(r#""INFO""#));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// A command beside an instance, with its configuration.
    pub fn command(&self, at: usize) -> std::process::Command {
        let mut command = command(self.folder.path());
        command.envs(self.environments[at].iter().cloned());
        command
    }

    pub async fn stop(&mut self, at: usize) {
        self.instances[at].signal("TERM");
        let status = self.instances[at].ends_within(PATIENCE).await;
        assert!(status.success(), "{}", self.instances[at].log());
    }

    pub async fn start_again(&mut self, at: usize, build: Build) {
        self.earlier_logs += &self.instances[at].log();
        self.instances[at] = run(build, self.folder.path(), &self.environments[at]);
        within(PATIENCE, "the instance is ready", async || {
            self.browser(at).get("/health/ready").await.status == 200
        })
        .await;
    }
}

fn run(build: Build, folder: &std::path::Path, environment: &[(String, String)]) -> Program {
    let old = std::env::var_os("GATELODGE_OLD_BINARY").map(PathBuf::from);
    let mut command = match (build, old) {
        (Build::Old, Some(old)) => command_of(&old, folder),
        _ => command(folder),
    };
    command.envs(environment.iter().cloned());
    Program::run(command)
}
