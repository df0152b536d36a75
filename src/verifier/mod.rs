//! For services that are given JWTs of Gatelodge's: verifies them, and hears of
//! revocations, so that a JWT is refused when its session has ended.
//!
//! ```no_run
//! use gatelodge::verifier::{Credential, Settings, Verifier};
//!
//! # fn main() -> anyhow::Result<()> {
//! let verifier = Verifier::connect(Settings {
//!     credential: Some(Credential::new(&std::env::var("REVOCATIONS_CREDENTIAL")?)?),
//!     ..Settings::new(
//!         "https://auth.example.com".parse()?,
//!         "https://auth.example.com",
//!         "orders",
//!     )
//! })?;
//! let verified = verifier.verify("eyJ…")?;
//! println!("{} has {:?}", verified.claims.sub, verified.claims.roles);
//! # Ok(())
//! # }
//! ```
//!
//! [`Verifier::verify`] asks nobody. Two threads keep what it needs: one the keys, from
//! `/.well-known/jwks.json`; one what the log has ended, from `/api/revocations`. Neither
//! is waited for when Gatelodge cannot be reached: then a JWT is accepted as long as it
//! lives, and [`Verified::is_current`] says so.
//!
//! Knows nothing of sessions but what a JWT and the log say.

mod feed;
mod keys;
mod knowledge;
mod sse;

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::watch;
use ureq::Agent;
use ureq::http::HeaderValue;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use url::Url;

use crate::clocks::{uptime, wall_time};
use crate::domain::jwt::{self, Algorithm, Expected, SessionClaims, VerifyingKeys};
use crate::domain::revocation::Head;
use crate::domain::time::{Timestamp, Uptime};

use feed::Follower;
use keys::Keeper;
use knowledge::{Broken, Knowledge};

/// How long it may take to connect. What then says nothing is given up after
/// [`feed::SILENCE`].
const CONNECT: Duration = Duration::from_secs(2);

/// Whose JWTs are verified, for whom, and how.
pub struct Settings {
    /// Where Gatelodge is: `https://auth.example.com`, or with `http` where the network is
    /// trusted.
    pub address: Url,
    /// `iss` of its JWTs (RFC 7519, 4.1.1).
    pub issuer: String,
    /// What `aud` must name (RFC 7519, 4.1.3).
    pub audience: String,
    /// How JWTs may be signed (RFC 8725, 3.1).
    pub algorithms: Vec<Algorithm>,
    /// Opens the feed of revocations. `None`: it is not followed, and a JWT is accepted
    /// as long as it lives.
    pub credential: Option<Credential>,
    /// In PEM: only what one of these has signed is believed to be Gatelodge. `None`:
    /// whom the public trusts.
    pub ca: Option<Vec<u8>>,
}

impl Settings {
    /// With `EdDSA` alone, no feed, and the public's certificates.
    #[must_use]
    pub fn new(address: Url, issuer: &str, audience: &str) -> Self {
        Self {
            address,
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            algorithms: vec![Algorithm::EdDsa],
            credential: None,
            ca: None,
        }
    }
}

/// One of Gatelodge's `revocations.credentials`. A secret: it cannot be printed.
pub struct Credential(HeaderValue);

impl Credential {
    /// # Errors
    /// [`Unusable::Credential`] if it could not be sent (RFC 6750, 2.1).
    pub fn new(credential: &str) -> Result<Self, Unusable> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {credential}"))
            .map_err(|_| Unusable::Credential)?;
        bearer.set_sensitive(true);
        Ok(Self(bearer))
    }
}

/// Settings that no verifier can be made of.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("the address must begin with https:// or http://")]
    Address,
    #[error("the credential has characters that cannot be sent")]
    Credential,
    #[error("there must be certificates in PEM to trust")]
    Certificates,
    #[error("no thread for it: {0}")]
    Thread(#[from] io::Error),
}

/// Verifies JWTs. A clone shares all with it; with the last, its threads end.
#[derive(Clone)]
pub struct Verifier(Arc<Shared>);

/// What a JWT says that is accepted.
#[derive(Clone, Debug)]
pub struct Verified {
    pub claims: SessionClaims,
    is_current: bool,
}

impl Verified {
    /// Whether what was revoked up to five seconds before is known to be refused. If not,
    /// only the lifetime is sure to end the JWT: whoever needs more refuses it (503).
    #[must_use]
    pub const fn is_current(&self) -> bool {
        self.is_current
    }
}

/// Why a JWT is not accepted: for logs. Whoever presents it hears 401, and asks for
/// another with the session; 503 for [`Refused::NoKeys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Invalid(#[from] jwt::Refused),
    #[error("its session has ended")]
    Ended,
    /// The user's name, e-mail or role has changed since; or nobody can say whether the
    /// session has ended, for the log was set back, or goes too far back, or says what
    /// only a later version knows.
    #[error("it is older than what is known")]
    Outdated,
    /// Gatelodge could not yet be asked for its keys.
    #[error("no key is known yet")]
    NoKeys,
}

struct Shared {
    expected: Expected,
    keys: ArcSwapOption<VerifyingKeys>,
    /// Has keys asked for again.
    ask: SyncSender<()>,
    knowledge: RwLock<Knowledge>,
    follows_feed: bool,
    /// Changes with what is known.
    news: watch::Sender<()>,
}

impl Verifier {
    /// Begins to fetch the keys and to follow the feed, and waits for neither: see
    /// [`Verifier::until_ready`].
    ///
    /// # Errors
    /// [`Unusable`] settings.
    pub fn connect(settings: Settings) -> Result<Self, Unusable> {
        let agent = agent(settings.ca.as_deref())?;
        let place = |path: &str| place(&settings.address, path);
        let (ask, asked) = sync_channel(1);
        let shared = Arc::new(Shared {
            expected: Expected {
                issuer: settings.issuer,
                audience: settings.audience,
            },
            keys: ArcSwapOption::empty(),
            ask,
            knowledge: RwLock::default(),
            follows_feed: settings.credential.is_some(),
            news: watch::channel(()).0,
        });
        let keeper = Keeper {
            shared: Arc::downgrade(&shared),
            agent: agent.clone(),
            place: place(".well-known/jwks.json")?,
            allowed: settings.algorithms,
            asked,
        };
        thread::Builder::new()
            .name("jwt-keys".to_owned())
            .spawn(move || keeper.run())?;
        if let Some(credential) = settings.credential {
            let place = place("api/revocations")?;
            let follower = Follower::new(Arc::downgrade(&shared), agent, place, credential);
            thread::Builder::new()
                .name("revocations".to_owned())
                .spawn(move || follower.run())?;
        }
        Ok(Self(shared))
    }

    /// What the JWT says, if it is one of the issuer's for this audience, lives, and
    /// nothing is known that has ended its session. Asks nobody and waits for nothing.
    ///
    /// # Errors
    /// Why it is [`Refused`].
    pub fn verify(&self, jwt: &str) -> Result<Verified, Refused> {
        self.0.verify(jwt, wall_time(), uptime())
    }

    /// Waits until what was verified is no longer accepted, and says why: for connections
    /// that stay open. It resolves when the session ends, while the feed is heard, and in
    /// any case when the JWT has expired: a connection that is to outlive it verifies
    /// another of the same session (`sid`) before.
    ///
    /// Needs tokio's timers.
    pub async fn until_refused(&self, verified: &Verified) -> Refused {
        let claims = &verified.claims;
        let mut news = self.0.news.subscribe();
        loop {
            let now = wall_time();
            if let Err(refused) = self.0.judge(claims, now) {
                return refused;
            }
            let left = Timestamp::from(claims.exp).since(now);
            let _ = tokio::time::timeout(left, news.changed()).await;
        }
    }

    /// Waits until keys are known, and with them what has been revoked, if the feed is
    /// followed: for whoever wants to accept nothing before.
    pub async fn until_ready(&self) {
        let mut news = self.0.news.subscribe();
        while !self.0.is_ready() && news.changed().await.is_ok() {}
    }
}

impl Shared {
    fn verify(&self, jwt: &str, now: Timestamp, since_start: Uptime) -> Result<Verified, Refused> {
        let keys = self.keys.load();
        let keys = keys.as_ref().ok_or(Refused::NoKeys)?;
        let authentic = keys.authentic(jwt).inspect_err(|refused| {
            if *refused == jwt::Refused::UnknownKey {
                // If there is no room, somebody has asked.
                let _ = self.ask.try_send(());
            }
        })?;
        if !authentic.names_key() {
            return Err(jwt::Refused::UnknownKey.into());
        }
        if !authentic.is_of_type(jwt::TYPE) {
            return Err(jwt::Refused::Type.into());
        }
        let claims: SessionClaims = authentic.claims(&self.expected, now)?;
        if claims.lives_too_long() {
            return Err(jwt::Refused::Lifetime.into());
        }
        let knowledge = self.knowledge();
        knowledge.judge(&claims)?;
        let is_current = knowledge.is_current(since_start);
        Ok(Verified { claims, is_current })
    }

    /// Whether claims that were accepted still are.
    fn judge(&self, claims: &SessionClaims, now: Timestamp) -> Result<(), Refused> {
        self.knowledge().judge(claims)?;
        if Timestamp::from(claims.exp) <= now {
            return Err(jwt::Refused::Expired.into());
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        let hears = !self.follows_feed || self.knowledge().is_current(uptime());
        hears && self.keys.load().is_some()
    }

    fn keep(&self, keys: VerifyingKeys) {
        self.keys.store(Some(Arc::new(keys)));
        self.news.send_replace(());
    }

    /// The one way to learn from the log: whoever waits for it hears of it.
    fn learn<T>(&self, learn: impl FnOnce(&mut Knowledge) -> T) -> T {
        let mut knowledge = self
            .knowledge
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let learnt = learn(&mut knowledge);
        drop(knowledge);
        self.news.send_replace(());
        learnt
    }

    /// The log ended there at that time, which counts until then.
    fn vouch(&self, head: Head, at: Timestamp, until: Uptime) -> Result<(), Broken> {
        let mut knowledge = self
            .knowledge
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let was_current = knowledge.is_current(uptime());
        knowledge.vouch(head, at, until)?;
        drop(knowledge);
        if !was_current {
            self.news.send_replace(());
        }
        Ok(())
    }

    fn knowledge(&self) -> RwLockReadGuard<'_, Knowledge> {
        self.knowledge
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn agent(ca: Option<&[u8]>) -> Result<Agent, Unusable> {
    let mut tls = TlsConfig::builder();
    if let Some(pem) = ca {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem)
            .map(|found| found.map(|der| Certificate::from_der(&der).to_owned()))
            .collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => {
                tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
            }
            Ok(_) | Err(_) => return Err(Unusable::Certificates),
        }
    }
    let agent = Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .max_idle_connections(0)
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(feed::SILENCE))
        .timeout_per_write(Some(feed::SILENCE))
        .user_agent(concat!("gatelodge-verifier/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(agent.new_agent())
}

fn place(address: &Url, path: &str) -> Result<String, Unusable> {
    match address.scheme() {
        "https" | "http" => Ok(format!("{}/{path}", address.as_str().trim_end_matches('/'))),
        _ => Err(Unusable::Address),
    }
}
