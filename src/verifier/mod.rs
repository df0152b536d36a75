//! For services that are given JWTs of Gatelodge's: verifies them, and hears of
//! revocations, so that a JWT is refused when its session has ended.
//!
//! ```no_run
//! use gatelodge::verifier::{Credential, Settings, Verifier};
//!
//! # async fn example() -> anyhow::Result<()> {
//! let verifier = Verifier::connect(Settings {
//!     credential: Some(Credential::new(&std::env::var("REVOCATIONS_CREDENTIAL")?)?),
//!     ..Settings::new(
//!         "https://auth.example.com".parse()?,
//!         "https://auth.example.com",
//!         "orders",
//!     )
//! })?;
//! verifier.until_ready().await;
//! let verified = verifier.verify("eyJ…")?;
//! println!("{} has {:?}", verified.claims.sub, verified.claims.roles);
//! # Ok(())
//! # }
//! ```
//!
//! [`Verifier::verify`] asks nobody. Two threads keep what it needs: one the keys, from
//! `/.well-known/jwks.json`; one what the log has ended, from `/api/revocations`. Once there
//! are keys, neither is waited for: if Gatelodge cannot be reached then, a JWT is accepted as long
//! as it lives, and [`Verified::is_current`] is false.
//!
//! Knows nothing of sessions but what a JWT and the log say.

mod follower;
mod keys;
mod knowledge;
mod sse;
mod waiting;

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::Notify;
use ureq::Agent;
use ureq::http::HeaderValue;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use url::Url;

use crate::clocks::{uptime, wall_time};
use crate::domain::jwt::{self, Expected, VerifyingKeys};
use crate::domain::time::{Timestamp, Uptime};

pub use crate::domain::jwt::{Algorithm, SessionClaims};

use follower::Follower;
use keys::Keeper;
use knowledge::{Broken, Knowledge};
use waiting::{Concerned, Waiting};

/// How long it may take to connect. What then says nothing is given up after
/// [`follower::SILENCE`].
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
    /// Rung for whatever is learnt.
    news: Notify,
    /// And those who hear only of what may concern them.
    waiting: Waiting,
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
        let expected = Expected {
            issuer: settings.issuer,
            audience: settings.audience,
        };
        let follows_feed = settings.credential.is_some();
        let shared = Arc::new(Shared::new(expected, ask, follows_feed));
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
        loop {
            let now = wall_time();
            let news = match self.0.judge(claims, now) {
                Ok(news) => news,
                Err(refused) => return refused,
            };
            let left = Timestamp::from(claims.exp).since(now);
            let _ = tokio::time::timeout(left, news).await;
        }
    }

    /// Waits until keys are known, and with them what has been revoked, if the feed is
    /// followed: for whoever wants to accept nothing before. Without end if the address or the
    /// credential is wrong, which the log (`tracing`) tells: put a limit of your own on it.
    pub async fn until_ready(&self) {
        loop {
            let news = self.0.news.notified();
            if self.0.is_ready() {
                break;
            }
            news.await;
        }
    }
}

impl Shared {
    fn new(expected: Expected, ask: SyncSender<()>, follows_feed: bool) -> Self {
        Self {
            expected,
            keys: ArcSwapOption::empty(),
            ask,
            knowledge: RwLock::default(),
            follows_feed,
            news: Notify::new(),
            waiting: Waiting::new(),
        }
    }

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

    /// Whether claims that were accepted still are; if so, what to wait for before that
    /// may be otherwise.
    fn judge<'a>(
        &'a self,
        claims: &SessionClaims,
        now: Timestamp,
    ) -> Result<impl Future<Output = ()> + use<'a>, Refused> {
        // Begun before the look at what is known, so that nothing is missed in between.
        let news = self.news.notified();
        let concerned = self.waiting.concerned(claims.sid, claims.sub);
        let knowledge = self.knowledge();
        knowledge.judge(claims)?;
        if Timestamp::from(claims.exp) <= now {
            return Err(jwt::Refused::Expired.into());
        }
        let awaits = knowledge.awaits(claims.rev);
        Ok(async move {
            tokio::select! {
                () = concerned => {}
                () = news, if awaits => {}
            }
        })
    }

    fn is_ready(&self) -> bool {
        let hears = !self.follows_feed || self.knowledge().is_current(uptime());
        hears && self.keys.load().is_some()
    }

    fn keep(&self, keys: VerifyingKeys) {
        self.keys.store(Some(Arc::new(keys)));
        self.news.notify_waiters();
    }

    /// The one way to learn from the log: whoever waits for it hears of it.
    fn learn(
        &self,
        learn: impl FnOnce(&mut Knowledge) -> Result<Concerned, Broken>,
    ) -> Result<(), Broken> {
        let mut knowledge = self
            .knowledge
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let concerned = learn(&mut knowledge)?;
        drop(knowledge);
        self.news.notify_waiters();
        self.waiting.wake(concerned);
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
        .timeout_per_read(Some(follower::SILENCE))
        .timeout_per_write(Some(follower::SILENCE))
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

#[cfg(test)]
mod tests {
    use std::iter;
    use std::pin::Pin;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Poll, Wake};

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::knowledge::Position;
    use super::knowledge::tests::{EPOCH, claims};
    use super::*;
    use crate::domain::id::SessionId;
    use crate::domain::revocation::tests::{any_revocation, session, user};
    use crate::domain::revocation::{Entry, Head, LogNumber, Mark, Revocation, Vouched};

    /// The log begins there.
    const ORIGIN: u64 = 10;

    /// In number `number` of the log as it is for the `era`th time.
    fn head(era: u8, number: u64) -> Head {
        let mut mark = [era; 16];
        mark[1] = u8::try_from(number).unwrap_or(u8::MAX);
        Head {
            number: LogNumber::new(number),
            mark: Mark(mark),
        }
    }

    fn vouched(Head { number, mark }: Head) -> Vouched {
        Vouched {
            number,
            mark: mark.prefix(),
        }
    }

    fn entry(Head { number, mark }: Head, revocation: Revocation) -> Entry {
        Entry {
            number,
            mark,
            revocation,
        }
    }

    /// Knows the log from its origin on, and so many entries of it at least.
    fn shared(capacity: usize) -> Shared {
        let expected = Expected {
            issuer: String::new(),
            audience: String::new(),
        };
        let shared = Shared::new(expected, sync_channel(1).0, true);
        let begun = shared.learn(|known| known.begin(head(0, ORIGIN), EPOCH, capacity));
        assert!(begun.is_ok());
        shared
    }

    /// A future as a runtime has it: polled once, and again if it is woken.
    struct Task<'a, T> {
        future: Pin<Box<dyn Future<Output = T> + 'a>>,
        is_woken: Arc<IsWoken>,
    }

    #[derive(Default)]
    struct IsWoken(AtomicBool);

    impl Wake for IsWoken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    impl<'a, T> Task<'a, T> {
        fn new(future: impl Future<Output = T> + 'a) -> Self {
            let future = Box::pin(future);
            let is_woken = Arc::new(IsWoken(AtomicBool::new(true)));
            Self { future, is_woken }
        }

        /// `None` if it need not be polled.
        fn poll_if_woken(&mut self) -> Option<Poll<T>> {
            let is_woken = self.is_woken.0.swap(false, Ordering::SeqCst);
            is_woken.then(|| {
                let waker = Arc::clone(&self.is_woken).into();
                self.future.as_mut().poll(&mut Context::from_waker(&waker))
            })
        }
    }

    #[tokio::test]
    async fn an_entry_wakes_whom_it_may_concern_and_nobody_else() {
        let verifier = Verifier(Arc::new(shared(1000)));
        let accepted = |n| Verified {
            claims: SessionClaims {
                sid: session(n + 10),
                ..claims(n, vouched(head(0, ORIGIN)), wall_time())
            },
            is_current: true,
        };
        let accepted: Vec<_> = (0..6).map(accepted).collect();
        let waits = |accepted| Task::new(verifier.until_refused(accepted));
        let mut tasks: Vec<_> = accepted.iter().map(waits).collect();
        let mut polled = || -> Vec<_> {
            let polled = tasks.iter_mut().map(Task::poll_if_woken);
            let polled = (0..6).zip(polled).filter_map(|(n, it)| Some((n, it?)));
            polled.collect()
        };
        assert_eq!(polled(), [0, 1, 2, 3, 4, 5].map(|n| (n, Poll::Pending)));
        let mut learn = |number, revocation| {
            let entry = entry(head(0, number), revocation);
            assert!(verifier.0.learn(|known| known.take_in(entry)).is_ok());
            let until = uptime() + Duration::from_secs(5);
            let vouch = |known: &mut Knowledge| known.vouch(entry.head(), EPOCH, until);
            assert!(verifier.0.learn(vouch).is_ok());
            polled()
        };
        let ended = Poll::Ready(Refused::Ended);
        let unrelated = Revocation::SessionEnded(session(30));
        assert_eq!(learn(11, unrelated), []);
        assert_eq!(learn(12, Revocation::UserChanged(user(30))), []);
        let entry = Revocation::SessionEnded(session(10));
        assert_eq!(learn(13, entry), [(0, ended)]);
        let entry = Revocation::UserEnded {
            user: user(1),
            spared: Some(session(12)),
        };
        assert_eq!(learn(14, entry), [(2, Poll::Pending), (3, ended)]);
        let changed = Poll::Ready(Refused::Outdated);
        let entry = Revocation::UserChanged(user(2));
        assert_eq!(learn(15, entry), [(4, changed), (5, changed)]);
        let entry = Revocation::EveryoneEnded;
        assert_eq!(learn(16, entry), [(1, ended), (2, ended)]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Somebody is accepted whose JWT is of an entry so far after the origin, of this
        /// log or another.
        Wait {
            session: u8,
            rev: u64,
            era: u8,
        },
        Append(Revocation),
        /// The log is said to end where it is known to.
        Vouch,
        /// Another log goes on so many entries before.
        SetBack(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u8..6, 0u64..12, 0u8..3)
                .prop_map(|(session, rev, era)| Step::Wait { session, rev, era }),
            4 => any_revocation().prop_map(Step::Append),
            2 => Just(Step::Vouch),
            1 => (0u64..6).prop_map(Step::SetBack),
        ]
    }

    proptest! {
        /// Whatever is learnt, and in whatever order, nobody sleeps on who is to be
        /// refused: be it that the session has ended, that the log is another one, or that
        /// what is known begins after the JWT.
        #[test]
        fn whoever_is_no_longer_accepted_is_woken(
            steps in proptest::collection::vec(any_step(), 0..60),
        ) {
            let shared = shared(8);
            let mut waiting: Vec<(SessionClaims, Task<()>)> = Vec::new();
            let (mut era, mut reached) = (0, ORIGIN);
            for (step, second) in steps.into_iter().zip(1..) {
                let now = Timestamp::from_millis(second * 1000);
                match step {
                    Step::Wait { session, rev, era } => {
                        let rev = vouched(head(era, ORIGIN + rev));
                        let claims = claims(session, rev, now);
                        if let Ok(news) = shared.judge(&claims, EPOCH) {
                            waiting.push((claims, Task::new(news)));
                        }
                    }
                    Step::Append(revocation) => {
                        reached += 1;
                        let entry = entry(head(era, reached), revocation);
                        prop_assert!(shared.learn(|known| known.take_in(entry)).is_ok());
                    }
                    Step::Vouch => {
                        let at = head(era, reached);
                        let vouched = shared.learn(|known| known.vouch(at, now, uptime()));
                        prop_assert!(vouched.is_ok());
                    }
                    Step::SetBack(lost) => {
                        era += 1;
                        reached = reached.saturating_sub(lost).max(ORIGIN);
                        prop_assert!(shared.learn(|known| Ok(known.lose())).is_ok());
                        prop_assert_eq!(shared.knowledge().position(), Position::Anew);
                        let begun =
                            shared.learn(|known| known.begin(head(era, reached), now, 8));
                        prop_assert!(begun.is_ok());
                    }
                }
                waiting.retain_mut(|(claims, task)| {
                    if let Some(Poll::Ready(())) = task.poll_if_woken() {
                        let news = shared.judge(claims, EPOCH);
                        return news.map(|news| *task = Task::new(news)).is_ok();
                    }
                    assert_eq!(shared.knowledge().judge(claims), Ok(()), "{claims:?}");
                    true
                });
            }
        }
    }

    /// One thread looks again and again, until another has learnt of the end. Whoever has
    /// looked just before must hear of it.
    #[test]
    fn an_end_that_comes_between_the_look_and_the_wait_is_heard_of() {
        const ROUNDS: u64 = 3000;
        let shared = shared(1000);
        let (start, end) = (Barrier::new(2), Barrier::new(2));
        let session = |number: u64| SessionId::from(Uuid::from_u128(number.into()));
        let mut missed = 0;
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in ORIGIN + 1..=ORIGIN + ROUNDS {
                    let ended = entry(head(0, number), Revocation::SessionEnded(session(number)));
                    start.wait();
                    let _ = shared.learn(|known| known.take_in(ended));
                    end.wait();
                }
            });
            for number in ORIGIN + 1..=ORIGIN + ROUNDS {
                let rev = vouched(head(0, number - 1));
                let claims = SessionClaims {
                    sid: session(number),
                    ..claims(0, rev, EPOCH)
                };
                start.wait();
                let looks = iter::from_fn(|| shared.judge(&claims, EPOCH).ok());
                let last = looks.last();
                end.wait();
                let heard = last.and_then(|news| Task::new(news).poll_if_woken());
                missed += usize::from(heard == Some(Poll::Pending));
            }
        });
        assert_eq!(missed, 0);
        assert_eq!(
            shared.knowledge().position(),
            Position::After(head(0, ORIGIN + ROUNDS))
        );
    }
}
