//! Sessions and how long they live.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::domain::client::{Client, UserAgent};
use crate::domain::digest::TokenDigest;
use crate::domain::email::Email;
use crate::domain::id::{SessionId, UserId};
use crate::domain::network::Network;
use crate::domain::revocation::{LogNumber, Vouched};
use crate::domain::text::Fragment;
use crate::domain::time::Timestamp;
use crate::domain::user::{Role, Status, User, UserName};

/// The two limits of a session (ASVS 7.3.1, 7.3.2; NIST SP 800-63B-4, 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Ends a session this long after it was last seen.
    pub idle: Duration,
    /// Ends a session this long after it was issued.
    pub absolute: Duration,
}

/// What will be a session once the ledger has it.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Of the time `issued_at`: lists are in the order of ids.
    pub id: SessionId,
    pub digest: TokenDigest,
    pub issued_at: Timestamp,
    pub lifetime: Lifetime,
    pub remember_me: bool,
    pub client: Client,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    /// The head of the revocation log when the session was inserted.
    pub born: LogNumber,
    /// When a password was last verified for this session.
    pub authenticated_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
    /// As the stored formats have it, and in half the room of a [`Duration`].
    pub idle_timeout_ms: u64,
    pub remember_me: bool,
    pub address: Option<IpAddr>,
    pub user_agent: Option<UserAgent>,
}

/// A touch is due once the hot store's `last_seen_at` is older than this part of the
/// idle timeout. What the ledger knows is never older than the coarser one: that much
/// early a session may end if the hot store is lost, and never late.
const HOT_TOUCH_PART: u32 = 50;
const LEDGER_LAG_PART: u32 = 20;
/// Within which a touch that is due is written.
const FLUSH_TIME: Duration = Duration::from_secs(1);

impl Session {
    #[must_use]
    pub fn from_draft(draft: Draft, user_id: UserId, born: LogNumber) -> Self {
        Self {
            id: draft.id,
            user_id,
            born,
            authenticated_at: draft.issued_at,
            last_seen_at: draft.issued_at,
            expires_at: draft.issued_at + draft.lifetime.absolute,
            idle_timeout_ms: draft
                .lifetime
                .idle
                .as_millis()
                .try_into()
                .unwrap_or(u64::MAX),
            remember_me: draft.remember_me,
            address: draft.client.source.address,
            user_agent: draft.client.user_agent,
        }
    }

    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.id.time()
    }

    #[must_use]
    pub const fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    /// When the session ends unless it is seen again.
    #[must_use]
    pub fn idle_expires_at(&self) -> Timestamp {
        self.expires_at.min(self.last_seen_at + self.idle_timeout())
    }

    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    #[must_use]
    pub fn is_idle(&self, now: Timestamp) -> bool {
        now >= self.last_seen_at + self.idle_timeout()
    }

    /// Whether the session may still be in use, as far as a ledger can tell: it
    /// hears of touches late.
    #[must_use]
    pub fn may_be_in_use(&self, now: Timestamp) -> bool {
        let lag = self.idle_timeout() / LEDGER_LAG_PART + FLUSH_TIME;
        !self.is_expired(now) && now < self.last_seen_at + self.idle_timeout() + lag
    }

    /// Whether the session may end as idle before it is written that it was seen at `now`.
    #[must_use]
    pub fn touch_is_urgent(&self, now: Timestamp) -> bool {
        self.idle_expires_at().since(now) < 2 * FLUSH_TIME
    }

    /// Whether `now` is worth recording as the last time the session was seen.
    #[must_use]
    pub fn touch_is_due(&self, now: Timestamp) -> bool {
        now.since(self.last_seen_at) > self.idle_timeout() / HOT_TOUCH_PART
    }
}

/// A copy of a session and its user, as the ledger had them when its log stood
/// at `vouched`. Only a ledger makes one.
///
/// Laid out for the local cache, which can hold millions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub session: Session,
    pub email: Email,
    pub name: UserName,
    pub role: Role,
    pub user_created_at: Timestamp,
    pub vouched: Vouched,
    /// `last_seen_at` as the ledger has it; a hot store may know a later one.
    pub ledger_seen_at: Timestamp,
}

impl Record {
    /// As the ledger has it. A user who has a session is not locked.
    #[must_use]
    pub fn new(session: Session, user: User, vouched: Vouched) -> Self {
        Self {
            ledger_seen_at: session.last_seen_at,
            session,
            email: user.email,
            name: user.name,
            role: user.role,
            user_created_at: user.created_at,
            vouched,
        }
    }

    #[must_use]
    pub fn user(&self) -> User {
        User {
            id: self.session.user_id,
            email: self.email.clone(),
            name: self.name.clone(),
            role: self.role,
            status: Status::Active,
            created_at: self.user_created_at,
        }
    }

    /// The same, seen at `at`.
    #[must_use]
    pub fn seen_at(&self, at: Timestamp) -> Self {
        let mut seen = self.clone();
        seen.session.last_seen_at = at;
        seen
    }

    /// The same, once the ledger knows when the session was last seen.
    #[must_use]
    pub fn known_to_ledger(&self) -> Self {
        Self {
            ledger_seen_at: self.session.last_seen_at,
            ..self.clone()
        }
    }

    /// Whether the ledger should hear when the session was last seen. Until the next
    /// touch is due, it may be seen again, and nobody notes it.
    #[must_use]
    pub fn ledger_touch_is_due(&self) -> bool {
        let lag = self.session.last_seen_at.since(self.ledger_seen_at);
        let idle = self.session.idle_timeout();
        lag + idle / HOT_TOUCH_PART > idle / LEDGER_LAG_PART
    }
}

/// Which sessions are meant: those that everything given holds for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    pub user: Option<UserId>,
    pub network: Option<Network>,
    pub user_agent: Option<Fragment>,
    pub issued_after: Option<Timestamp>,
    pub issued_before: Option<Timestamp>,
    pub last_seen_before: Option<Timestamp>,
}

impl SessionFilter {
    /// Whether there is a time that no session can have.
    #[must_use]
    pub fn contradicts_itself(&self) -> bool {
        let ends = [self.issued_before, self.last_seen_before];
        let first_end = ends.into_iter().flatten().min();
        matches!((self.issued_after, first_end), (Some(begin), Some(end)) if begin >= end)
    }
}

/// As the audit log shows it.
impl fmt::Display for SessionFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user_agent = self
            .user_agent
            .as_ref()
            .map(|part| format!("{:?}", part.as_str()));
        let given = [
            ("user_id", self.user.map(|user| user.to_string())),
            ("ip", self.network.map(|network| network.to_string())),
            ("user_agent", user_agent),
            ("issued_after", self.issued_after.map(|at| at.to_string())),
            ("issued_before", self.issued_before.map(|at| at.to_string())),
            (
                "last_seen_before",
                self.last_seen_before.map(|at| at.to_string()),
            ),
        ];
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        for (position, (name, value)) in given.enumerate() {
            let space = if position == 0 { "" } else { " " };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}

/// A filter that says something: whatever ends sessions takes no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection(SessionFilter);

impl Selection {
    /// `None` if the filter is empty.
    #[must_use]
    pub fn of(filter: SessionFilter) -> Option<Self> {
        (filter != SessionFilter::default()).then_some(Self(filter))
    }

    #[must_use]
    pub const fn filter(&self) -> &SessionFilter {
        &self.0
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::revocation::MarkPrefix;

    /// A session of a user, both made up.
    pub(crate) fn record(born: u64, vouched: u64) -> Record {
        let issued_at = Timestamp::from_millis(1_000_000);
        let user_id = UserId::new(issued_at, [1; 10]);
        let draft = Draft {
            id: SessionId::new(issued_at, [2; 10]),
            digest: TokenDigest::from_bytes([3; 32]),
            issued_at,
            lifetime: Lifetime {
                idle: Duration::from_secs(100),
                absolute: Duration::from_secs(1000),
            },
            remember_me: false,
            client: Client::default(),
        };
        let user = User {
            id: user_id,
            email: Email::parse("alice@example.com").unwrap(),
            name: UserName::parse("Alice").unwrap(),
            role: Role::User,
            status: Status::Active,
            created_at: issued_at,
        };
        let vouched = Vouched {
            number: LogNumber::new(vouched),
            mark: MarkPrefix([0; 4]),
        };
        let session = Session::from_draft(draft, user_id, LogNumber::new(born));
        Record::new(session, user, vouched)
    }

    #[test]
    fn a_session_ends_at_its_limits_and_not_before() {
        let mut session = record(0, 0).session;
        let after = |seconds| session.issued_at() + Duration::from_secs(seconds);
        assert!(!session.is_idle(after(99)));
        assert!(session.is_idle(after(100)));
        assert!(!session.is_expired(after(999)));
        assert!(session.is_expired(after(1000)));
        assert_eq!(session.idle_expires_at(), after(100));

        let late = after(950);
        let end = after(1000);
        session.last_seen_at = late;
        assert_eq!(session.idle_expires_at(), end);
    }

    #[test]
    fn a_ledger_that_hears_of_touches_late_does_not_call_a_session_unused_too_soon() {
        let session = record(0, 0).session;
        let after = |seconds| session.issued_at() + Duration::from_secs(seconds);
        assert!(session.may_be_in_use(after(105)));
        assert!(!session.may_be_in_use(after(106)));
        assert!(!session.may_be_in_use(after(1000)));
    }

    #[test]
    fn a_filter_says_what_it_means() {
        let filter = SessionFilter {
            network: Network::parse("10.0.0.0/8").ok(),
            user_agent: Fragment::parse("a \"b\"").ok(),
            issued_after: Some(Timestamp::from_millis(1000)),
            last_seen_before: Some(Timestamp::from_millis(1000)),
            ..SessionFilter::default()
        };
        let shown = "ip=10.0.0.0/8 user_agent=\"a \\\"b\\\"\" \
                     issued_after=1970-01-01T00:00:01Z last_seen_before=1970-01-01T00:00:01Z";
        assert_eq!(filter.to_string(), shown);
        assert!(filter.contradicts_itself());
        assert_eq!(Selection::of(SessionFilter::default()), None);
    }

    #[test]
    fn a_million_records_fit_into_what_was_promised() {
        // With what an allocation and the cache's place for it take: 300.
        assert!(size_of::<Record>() <= 184, "{}", size_of::<Record>());
    }

    #[test]
    fn however_often_a_session_is_seen_the_ledger_is_a_twentieth_behind_at_most() {
        for pace in (100..6000).step_by(100).map(Duration::from_millis) {
            let mut copy = record(0, 0);
            let mut now = copy.session.issued_at();
            for _ in 0..100 {
                now = now + pace;
                if copy.session.touch_is_due(now) {
                    copy = copy.seen_at(now);
                }
                if copy.ledger_touch_is_due() {
                    copy = copy.known_to_ledger();
                }
                let lag = now.since(copy.ledger_seen_at);
                assert!(lag <= copy.session.idle_timeout() / 20, "{pace:?}: {lag:?}");
            }
        }
    }

    #[test]
    fn touches_are_rare() {
        let record = record(0, 0);
        let after = |seconds| record.session.issued_at() + Duration::from_secs(seconds);
        assert!(!record.session.touch_is_due(after(2)));
        assert!(record.session.touch_is_due(after(3)));
        assert!(!record.seen_at(after(3)).ledger_touch_is_due());
        let seen = record.seen_at(after(4));
        assert!(seen.ledger_touch_is_due());
        assert!(!seen.known_to_ledger().ledger_touch_is_due());
    }
}
