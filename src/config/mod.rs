//! Configuration: defaults, then a file, then the environment; read once,
//! validated whole, all mistakes reported at once.

mod audit;
mod authz;
mod bootstrap;
mod cookie;
mod cors;
mod database;
mod docs;
mod log;
mod origin;
mod password;
mod reader;
mod redis;
mod reference;
mod registration;
mod secrets;
mod server;
mod session;
mod throttle;

use std::path::Path;

pub use self::redis::Redis;
pub use audit::Audit;
pub use authz::{Authz, HeaderStyle};
pub use bootstrap::Bootstrap;
pub use cookie::{Cookie, SameSite};
pub use cors::Cors;
pub use database::Database;
pub use docs::Docs;
pub use log::{Format, Log};
pub use password::Password;
pub use reader::{Form, Known, Mistakes, duration};
pub use reference::{env_example, reference_page};
pub use registration::Registration;
pub use secrets::{Secrets, secret_key};
pub use server::{PublicUrl, Server};
pub use session::Session;

use reader::{Reader, Source};

use crate::domain::attempt::Limits;

use crate::domain::password::PasswordPolicy;

/// The file that is read if it exists and no other is named.
pub const DEFAULT_FILE: &str = "gatelodge.toml";

#[derive(Clone)]
pub struct Settings {
    pub server: Server,
    pub database: Database,
    pub redis: Redis,
    pub secrets: Secrets,
    pub cookie: Cookie,
    pub session: Session,
    pub password: Password,
    pub throttle: Limits,
    pub registration: Registration,
    pub cors: Cors,
    pub authz: Authz,
    pub bootstrap: Option<Bootstrap>,
    pub audit: Audit,
    pub docs: Docs,
    pub log: Log,
}

impl Settings {
    /// Reads `file`, or [`DEFAULT_FILE`] if there is one, and over it the
    /// variables of `environment`.
    ///
    /// # Errors
    /// All mistakes: what is wrong, and what would be right.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        let mut reader = Reader::open(Source::new(file, environment))?;
        let settings = Self::read(&mut reader);
        reader.finish()?;
        Ok(settings)
    }

    /// Every key that is read, in order, with its default.
    #[must_use]
    pub fn keys() -> Vec<Known> {
        let mut reader = Reader::default();
        Self::read(&mut reader);
        reader.into_known()
    }

    fn read(from: &mut Reader) -> Self {
        let settings = Self {
            server: Server::read(from),
            database: Database::read(from),
            redis: Redis::read(from),
            secrets: Secrets::read(from),
            cookie: Cookie::read(from),
            session: Session::read(from),
            password: Password::read(from),
            throttle: throttle::read(from),
            registration: Registration::read(from),
            cors: Cors::read(from),
            authz: Authz::read(from),
            bootstrap: Bootstrap::read(from),
            audit: Audit::read(from),
            docs: Docs::read(from),
            log: Log::read(from),
        };
        settings.look_at_the_whole(from);
        settings
    }

    /// What is asked of every new password.
    #[must_use]
    pub fn password_policy(&self) -> PasswordPolicy {
        PasswordPolicy::new(self.password.min_length, self.server.public_url.host())
    }

    /// Cookies know hosts and no ports (RFC 6265, 8.5). In development, without TLS,
    /// there is no domain to share.
    fn sees_the_cookie(&self, origin: &url::Origin) -> bool {
        if !self.server.public_url.is_https() {
            return true;
        }
        let url::Origin::Tuple(_, host, _) = origin else {
            return false;
        };
        let (host, own) = (host.to_string(), self.server.public_url.host());
        let domain = self.cookie.domain.as_deref();
        host == own || domain.is_some_and(|domain| belongs(&host, domain))
    }

    /// What no section can see alone.
    fn look_at_the_whole(&self, from: &mut Reader) {
        if self.redis.url.is_some() && self.database.is_sqlite() {
            from.mistake(
                "redis.url",
                "is set, but database.url is SQLite, which serves one instance only: \
                 set database.url to postgres://…, or leave redis.url out",
            );
        }
        if self.redis.has_idle_ca() {
            from.mistake(
                "redis.ca_file",
                "is set, but redis.url has no TLS: begin it with rediss, or leave \
                 redis.ca_file out",
            );
        }
        if self.secrets.keys.is_empty() && !self.database.is_sqlite() {
            from.mistake("secrets.keys", secrets::MISSING);
        }
        if let Some(bootstrap) = &self.bootstrap
            && let Err(wrong) = bootstrap.password(&self.password_policy())
        {
            from.mistake(
                "bootstrap_admin_password",
                &format!("is not usable: it {wrong}"),
            );
        }
        for origin in &self.authz.allowed_return_origins {
            if !self.sees_the_cookie(origin) {
                from.mistake(
                    "authz.allowed_return_origins",
                    &format!(
                        "has {:?}, to which browsers do not send the session's cookie: set \
                         cookie.domain to a domain that it shares with server.public_url",
                        origin.ascii_serialization()
                    ),
                );
            }
        }
        if let Some(domain) = &self.cookie.domain {
            let host = self.server.public_url.host();
            if !belongs(host, domain) {
                from.mistake(
                    "cookie.domain",
                    &format!("is {domain:?}, to which the host of server.public_url, {host:?}, does not belong"),
                );
            }
            if !self.server.public_url.is_https() {
                from.mistake(
                    "cookie.domain",
                    "takes a server.public_url that begins with https://",
                );
            }
        }
    }
}

fn belongs(host: &str, domain: &str) -> bool {
    let rest = host.strip_suffix(domain);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
