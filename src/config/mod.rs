//! Configuration: defaults, then a file, then the environment; read once,
//! validated whole, all mistakes reported at once.

mod audit;
mod authz;
mod bootstrap;
mod cookie;
mod cors;
mod database;
mod docs;
mod examination;
mod exchange;
mod log;
mod metrics;
mod origin;
mod password;
mod reader;
mod redis;
mod reference;
mod registration;
mod revocations;
mod secrets;
mod server;
mod session;
mod source;
mod throttle;
mod tokens;
mod traces;
mod values;

use std::path::{Path, PathBuf};

pub use self::redis::Redis;
pub use audit::Audit;
pub use authz::{Authz, HeaderStyle};
pub use bootstrap::Bootstrap;
pub use cookie::{Cookie, SameSite};
pub use cors::Cors;
pub use database::Database;
pub use docs::Docs;
pub use log::{Format, Log};
pub use metrics::Metrics;
pub use password::Password;
pub use reader::{Form, Known, Mistakes};
pub use reference::{env_example, reference_page};
pub use registration::Registration;
pub use revocations::Revocations;
pub use secrets::{Secrets, secret_key};
pub use server::{PublicUrl, Server};
pub use session::Session;
pub use source::{is_there, is_variable};
pub use tokens::{KeyFiles, Tokens};
pub use traces::Traces;
pub use values::duration;

use reader::Reader;
use source::Source;

use crate::domain::attempt::Limits;
use crate::domain::exchange::ForeignIssuer;
use crate::domain::jwt::StringOrUri;
use crate::domain::password::PasswordPolicy;

/// The file that is read if it exists and no other is named.
pub const DEFAULT_FILE: &str = "gatelodge.toml";

#[derive(Clone)]
pub struct Settings {
    /// The files named in it that nobody but the service's user is to read.
    pub private_files: Vec<PathBuf>,
    pub server: Server,
    pub database: Database,
    pub redis: Redis,
    pub secrets: Secrets,
    pub cookie: Cookie,
    pub session: Session,
    pub password: Password,
    pub throttle: Limits,
    pub registration: Registration,
    /// Whose JWTs are exchanged for a session.
    pub exchange: Option<ForeignIssuer>,
    pub cors: Cors,
    pub authz: Authz,
    pub tokens: Tokens,
    pub bootstrap: Option<Bootstrap>,
    pub revocations: Revocations,
    pub audit: Audit,
    pub docs: Docs,
    pub metrics: Metrics,
    pub log: Log,
    pub traces: Traces,
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
        let server = Server::read(from);
        let database = Database::read(from);
        let redis = Redis::read(from);
        let secrets = Secrets::read(from);
        let cookie = Cookie::read(from);
        let session = Session::read(from);
        let password = Password::read(from);
        let throttle = throttle::read(from);
        let registration = Registration::read(from);
        let (foreign_issuer, exchange) = exchange::read(from);
        let cors = Cors::read(from);
        let authz = Authz::read(from);
        let tokens = Tokens::read(from);
        let bootstrap = Bootstrap::read(from, &password.policy(&server.public_url));
        let settings = Self {
            server,
            database,
            redis,
            secrets,
            cookie,
            session,
            password,
            throttle,
            registration,
            exchange,
            cors,
            authz,
            tokens,
            bootstrap,
            revocations: Revocations::read(from),
            audit: Audit::read(from),
            docs: Docs::read(from),
            metrics: Metrics::read(from),
            log: Log::read(from),
            traces: Traces::read(from),
            // Last: each of the others may have read some.
            private_files: from.private_files(),
        };
        settings.look_at_the_whole(foreign_issuer.as_deref(), from);
        settings
    }

    /// What is asked of every new password.
    #[must_use]
    pub fn password_policy(&self) -> PasswordPolicy {
        self.password.policy(&self.server.public_url)
    }

    /// By whom JWTs are said to be issued.
    #[must_use]
    pub fn issuer(&self) -> StringOrUri {
        let configured = self.tokens.issuer.clone();
        configured.unwrap_or_else(|| self.server.public_url.url().origin().into())
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
    fn look_at_the_whole(&self, foreign_issuer: Option<&str>, from: &mut Reader) {
        let knows_database = from.knows(&["database.url"]);
        let knows_url = from.knows(&["server.public_url"]);
        if knows_database && self.database.is_sqlite() && from.is_given("redis.url") {
            from.mistake(
                "redis.url",
                "is set, but database.url is SQLite, which serves one instance only: \
                 set database.url to postgres://…, or leave redis.url out",
            );
        }
        if from.knows(&["redis.url"]) && !self.redis.has_tls() && from.is_given("redis.ca_file") {
            from.mistake(
                "redis.ca_file",
                "is set, but redis.url has no TLS: begin it with rediss, or leave \
                 redis.ca_file out",
            );
        }
        if knows_database
            && !self.database.is_sqlite()
            && from.knows(&["secrets.keys"])
            && self.secrets.keys.is_empty()
        {
            from.mistake("secrets.keys", secrets::MISSING);
        }
        if foreign_issuer == Some(self.issuer().as_str())
            && from.knows(&["tokens.issuer"])
            && (knows_url || self.tokens.issuer.is_some())
        {
            from.mistake(
                "exchange.issuer",
                "is that of the JWTs that are minted here (tokens.issuer, or the origin of \
                 server.public_url): it is for another system's",
            );
        }
        if from.knows(&["server.bind"]) && self.metrics.collides_with(self.server.bind) {
            from.mistake(
                "metrics.bind",
                "is where server.bind is: strangers must not reach it, so give it another port",
            );
        }
        if knows_url {
            self.look_at_the_cookie(from);
        }
    }

    fn look_at_the_cookie(&self, from: &mut Reader) {
        let url = &self.server.public_url;
        if from.is_given("cookie.domain") && !url.is_https() {
            from.mistake(
                "cookie.domain",
                "takes a server.public_url that begins with https://",
            );
        }
        if !from.knows(&["cookie.domain"]) {
            return;
        }
        if let Some(domain) = &self.cookie.domain
            && !belongs(url.host(), domain)
        {
            let host = url.host();
            from.mistake(
                "cookie.domain",
                &format!(
                    "is {domain:?}, to which the host of server.public_url, {host:?}, does not \
                     belong"
                ),
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
    }
}

fn belongs(host: &str, domain: &str) -> bool {
    let rest = host.strip_suffix(domain);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// No message may repeat it.
    const SECRET: &str = "hunter2";

    /// Values as a file has them.
    const VALUES: &[&str] = &[
        "\"\"",
        "0",
        "-1",
        "1.5",
        "9223372036854775807",
        "true",
        "\"true\"",
        "\"30m\"",
        "\"0s\"",
        "\"99999d\"",
        "[]",
        "[\"a\", 1]",
        "[[1]]",
        "{ a = 1 }",
        "[{ host = \"a\" }]",
        "[{ require = \"user\", path = \"/a\" }, { require = 1 }]",
        "1979-05-27",
        "inf",
        "\"\\u0000\"",
        "\"é,\\n,x\"",
        "\"https://auth.example.com\"",
        "\"127.0.0.1:0\"",
        "\"10.0.0.0/8,::1\"",
        "\"none\"",
        "\"json\"",
        "\"a@example.com\"",
    ];

    const SECRETS: &[&str] = &[
        "\"hunter2\"",
        "\"postgres://u:hunter2@host/db\"",
        "\"redis://u:hunter2@host:port\"",
        "\"rediss+sentinel://:hunter2@a,b\"",
        "[\"hunter2\", \"hunter2hunter2\"]",
    ];

    /// Where a value stands, and which it is.
    #[derive(Debug, bolero::TypeGenerator)]
    struct Set {
        key: u8,
        value: u8,
        is_variable: bool,
        is_secret: bool,
    }

    /// A fuzz target.
    #[test]
    fn whatever_is_configured_loads_or_every_mistake_names_its_key_and_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gatelodge.toml");
        let known = Settings::keys();
        bolero::check!()
            .with_type::<Vec<Set>>()
            .for_each(|sets: &Vec<Set>| {
                let (mut file, mut environment) = (BTreeMap::new(), BTreeMap::new());
                let mut keys = BTreeSet::from(["nonsense".to_owned()]);
                for set in sets {
                    let Some(known) = known.get(usize::from(set.key) % (known.len() + 1)) else {
                        file.insert("nonsense".to_owned(), VALUES[1]);
                        continue;
                    };
                    let may_be_secret = matches!(known.form, Form::Secret | Form::SecretList);
                    let values = if may_be_secret && set.is_secret {
                        SECRETS
                    } else {
                        VALUES
                    };
                    let value = values[usize::from(set.value) % values.len()];
                    if set.is_variable {
                        let text = value.trim_matches('"').replace('\0', "");
                        environment.insert(known.variable(), text);
                    } else {
                        file.insert(known.key.to_owned(), value);
                    }
                }
                keys.extend(known.iter().map(|known| known.key.to_owned()));
                let lines = file.iter().map(|(key, value)| format!("{key} = {value}\n"));
                std::fs::write(&path, lines.collect::<String>()).unwrap();
                let Err(mistakes) = Settings::load(Some(&path), environment) else {
                    return;
                };
                let told = mistakes.to_string();
                for line in told.lines().skip(1) {
                    let word = line.split_whitespace().next().unwrap();
                    let is_key = keys.iter().any(|key| word.starts_with(key.as_str()));
                    assert!(is_key, "{told}");
                }
                assert!(!told.contains(SECRET), "{told}");
            });
    }

    /// A fuzz target.
    #[test]
    fn whatever_is_wrong_in_a_file_is_told_without_what_is_secret_in_it() {
        const WHOLE: &str = "[database]\nurl = \"postgres://u:hunter2@host/db\"\n\
            [redis]\nurl = 'redis://:hunter2@host'\n\
            [secrets]\nkeys = [\"hunter2\", \"\"\"\nhunter2\n\"\"\"]\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gatelodge.toml");
        bolero::check!()
            .with_type::<(u8, u8, Vec<u8>)>()
            .for_each(|(at, cut, put)| {
                let mut file = WHOLE.as_bytes().to_vec();
                let at = usize::from(*at) % file.len();
                let end = (at + usize::from(*cut % 8)).min(file.len());
                file.splice(at..end, put.iter().copied());
                std::fs::write(&path, file).unwrap();
                let told = Settings::load(Some(&path), []).err();
                let told = told.map(|mistakes| mistakes.to_string());
                assert!(!told.is_some_and(|told| told.contains(SECRET)));
            });
    }
}
