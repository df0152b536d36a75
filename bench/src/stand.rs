//! What the service stands on, and what is compared with it: a Redis, a PostgreSQL,
//! a folder, and users who are logged in.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use gatelodge::accounts::Register;
use gatelodge::config::Settings;
use gatelodge::domain::client::Client;
use gatelodge::domain::email::Email;
use gatelodge::domain::password::{NewPassword, Owner};
use gatelodge::domain::token::Token;
use gatelodge::domain::user::UserName;
use gatelodge::sessions::Issued;
use gatelodge::startup::generate_key;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::http;
use crate::process::{Cores, Process};
use crate::support::servers::{OwnPostgres, OwnRedis};

pub const PASSWORD: &str = "correct horse battery staple";

pub struct Stand {
    pub redis: OwnRedis,
    postgres: OwnPostgres,
    pub folder: TempDir,
    /// What the service signs with, and the baselines.
    pub key: String,
    pub runtime: Runtime,
}

/// What has the key in a process's environment.
pub const KEY_VARIABLE: &str = "GATELODGE_SECRETS__KEYS";

/// Where the service says who is logged in.
pub const WHOAMI: &str = "/api/sessions/whoami";

/// The length of what it says, to be the length of what a baseline says.
pub fn identity_length(service: &Process, cookie: &str) -> Result<usize> {
    let answer = http::Client::connect(service.address)?.get(WHOAMI, cookie)?;
    let length = answer.header("content-length").context("a length")?;
    Ok(length.parse()?)
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Builds the service as it is shipped.
pub fn build_service() -> Result<()> {
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "--bin", "gatelodge"])
        .current_dir(root())
        .arg("--target-dir")
        .arg(root().join("target"))
        .status()?;
    ensure!(status.success(), "the service is not built");
    Ok(())
}

impl Stand {
    /// On the cores that this thread keeps to.
    pub fn start() -> Result<Self> {
        Ok(Self {
            redis: OwnRedis::start(),
            postgres: OwnPostgres::start(),
            folder: tempfile::tempdir()?,
            key: generate_key(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        })
    }

    /// The service's settings, by their variables.
    fn environment(&self) -> Vec<(String, String)> {
        [
            ("DATABASE_URL", self.postgres.url()),
            ("REDIS_URL", self.redis.url()),
            (KEY_VARIABLE, self.key.clone()),
            ("GATELODGE_SERVER__BIND", "127.0.0.1:0".to_owned()),
            // No session is touched while it is measured, which is rare in life too.
            ("GATELODGE_SESSION__IDLE_TIMEOUT", "24h".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    pub fn settings(&self, more: &[(&str, &str)]) -> Result<Settings> {
        let more = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = self.environment().into_iter().chain(more);
        Ok(Settings::load(None, environment)?)
    }

    /// The service as it is shipped, with these settings besides.
    pub fn service(&self, cores: Cores, settings: &[(&str, &str)]) -> Result<Process> {
        let command = cores.command(root().join("target/release/gatelodge"));
        Ok(self.run(command, "service", settings)?.0)
    }

    /// One of [`crate::baselines`], and the cookies that it knows.
    pub fn baseline(
        &self,
        name: &str,
        body_length: usize,
        settings: &[(&str, &str)],
    ) -> Result<(Process, Vec<String>)> {
        let mut command = crate::process::SERVER.command(std::env::current_exe()?);
        command.args(["serve", name, &body_length.to_string()]);
        self.run(command, name, settings)
    }

    fn run(
        &self,
        mut command: Command,
        name: &str,
        settings: &[(&str, &str)],
    ) -> Result<(Process, Vec<String>)> {
        command
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.environment())
            .envs(settings.iter().copied());
        Process::listening(command, &self.folder.path().join(name))
    }

    /// So many new users, each logged in.
    pub fn logged_in(&self, count: usize) -> Result<Vec<Issued>> {
        let settings = self.settings(&[("GATELODGE_PASSWORD__BCRYPT_COST", "4")])?;
        let policy = settings.password_policy();
        self.runtime.block_on(async {
            let services = gatelodge::connect(&settings).await?;
            let mut all = Vec::with_capacity(count);
            for number in 0..count {
                let issued = services.accounts().register(Register {
                    email: Email::parse(&email(number))?,
                    name: UserName::parse(&name(number))?,
                    password: NewPassword::parse(PASSWORD, &policy, Owner::default())?,
                    client: Client::default(),
                    presented: None,
                });
                all.push(issued.await?);
            }
            services.stop().await;
            Ok(all)
        })
    }
}

/// 20 characters.
pub fn email(number: usize) -> String {
    format!("u{number:07}@example.com")
}

/// 15 characters.
pub fn name(number: usize) -> String {
    format!("Name of {number:07}")
}

/// The `Cookie` header of whoever has that token.
pub fn cookie(token: &Token) -> String {
    format!("{COOKIE_NAME}={}", *token.expose())
}

/// Of the service on plain http, and of all that is compared with it.
pub const COOKIE_NAME: &str = "gatelodge_session";
