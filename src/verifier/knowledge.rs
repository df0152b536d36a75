//! What a verifier has heard of the revocation log, and what follows from it. Order is by
//! log number; time has a say only in what a log that was set back may have lost.

use std::time::Duration;

use super::Refused;
use super::waiting::Concerned;
use crate::domain::jwt::SessionClaims;
use crate::domain::revocation::{Entry, Head, Revocation, Vouched};
use crate::domain::time::{Timestamp, Uptime};
use crate::domain::view::View;

/// How long a head may lack what has just been appended.
const LAG: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Knowledge {
    /// `None` before the first word of the log.
    view: Option<View>,
    position: Position,
    /// What was issued before is not believed: the log has been set back since.
    believed_from: Option<Timestamp>,
    /// When it was last said that the log had nothing else, on the service's clock.
    whole_at: Option<Timestamp>,
    /// How long it counts that the log had nothing else.
    current_until: Option<Uptime>,
}

/// From where the log is to be heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Position {
    /// Wherever that is.
    #[default]
    Anywhere,
    After(Head),
    /// Wherever that is, and it does not go on from what is known.
    Anew,
}

/// The log does not go on from what is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Knowledge {
    pub(super) const fn position(&self) -> Position {
        self.position
    }

    /// Entries follow that one from now on, as was said at that time.
    pub(super) fn begin(
        &mut self,
        after: Head,
        at: Timestamp,
        capacity: usize,
    ) -> Result<Concerned, Broken> {
        match self.position {
            Position::After(known) if known == after => return Ok(Concerned::Nobody),
            Position::After(_) => {
                self.lose();
                return Err(Broken);
            }
            Position::Anew => self.believed_from = self.believed_from.max(Some(at)),
            Position::Anywhere => {}
        }
        self.view = Some(View::starting_at(after, capacity));
        self.position = Position::After(after);
        Ok(Concerned::Everyone)
    }

    pub(super) fn take_in(&mut self, entry: Entry) -> Result<Concerned, Broken> {
        let view = self.view.as_mut().ok_or(Broken)?;
        let floor = view.floor();
        view.advance(&[entry]).map_err(|_| Broken)?;
        self.position = Position::After(view.head());
        Ok(match entry.revocation {
            // What it says goes too far back for some, now.
            _ if view.floor() != floor => Concerned::Everyone,
            Revocation::SessionEnded(session) => Concerned::Session(session),
            Revocation::UserEnded { user, .. } | Revocation::UserChanged(user) => {
                Concerned::User(user)
            }
            Revocation::EveryoneEnded | Revocation::Unknown => Concerned::Everyone,
        })
    }

    /// The log ended there at that time, which counts until then.
    pub(super) fn vouch(
        &mut self,
        head: Head,
        at: Timestamp,
        until: Uptime,
    ) -> Result<Concerned, Broken> {
        if self.position != Position::After(head) {
            return Err(Broken);
        }
        self.whole_at = Some(at);
        self.current_until = Some(until);
        Ok(Concerned::Nobody)
    }

    /// The log was set back: it does not have what is known of it.
    pub(super) const fn lose(&mut self) -> Concerned {
        self.position = Position::Anew;
        Concerned::Nobody
    }

    pub(super) fn is_current(&self, now: Uptime) -> bool {
        self.current_until.is_some_and(|until| now < until)
    }

    /// Whether nothing that is known speaks against a JWT.
    pub(super) fn judge(&self, claims: &SessionClaims) -> Result<(), Refused> {
        let Some(view) = &self.view else {
            return Ok(());
        };
        let issued_at = Timestamp::from(claims.iat);
        let rev = claims.rev.number;
        if view.ends(claims.sid, claims.sub, rev) {
            Err(Refused::Ended)
        } else if !self.may_have(view, claims.rev, issued_at)
            || self.believed_from.is_some_and(|from| issued_at < from)
            || view.outdates(claims.sub, rev)
        {
            Err(Refused::Outdated)
        } else {
            Ok(())
        }
    }

    /// Whether a JWT speaks of this log, as far as can be told. An entry that is still to
    /// come may be of it; of a log that was set back, none ever comes.
    fn may_have(&self, view: &View, rev: Vouched, issued_at: Timestamp) -> bool {
        if is_to_come(view, rev) {
            self.whole_at.is_none_or(|at| at < issued_at + LAG)
        } else {
            view.covers(rev)
        }
    }

    /// Whether a JWT speaks of an entry that is still to come: whatever is heard next may
    /// have it refused.
    pub(super) fn awaits(&self, rev: Vouched) -> bool {
        self.view.as_ref().is_some_and(|view| is_to_come(view, rev))
    }
}

const fn is_to_come(view: &View, rev: Vouched) -> bool {
    view.reached().get() < rev.number.get()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::id::UserId;
    use crate::domain::jwt::Audience;
    use crate::domain::revocation::tests::{any_revocation, session, user};
    use crate::domain::revocation::{LogNumber, Mark};

    const CAPACITY: usize = 1000;

    pub(in crate::verifier) const EPOCH: Timestamp = Timestamp::from_millis(0);

    fn user_of(session: u8) -> UserId {
        user(session / 2)
    }

    fn number(n: usize) -> LogNumber {
        LogNumber::new(n as u64)
    }

    pub(in crate::verifier) fn claims(n: u8, rev: Vouched, at: Timestamp) -> SessionClaims {
        SessionClaims {
            iss: String::new(),
            sub: user_of(n),
            aud: Audience::One(String::new()),
            exp: (at + Duration::from_mins(5)).into(),
            nbf: at.into(),
            iat: at.into(),
            jti: String::new(),
            sid: session(n),
            roles: Vec::new(),
            rev,
            email: None,
            name: None,
            auth_time: None,
        }
    }

    /// What may happen, one thing a second.
    #[derive(Clone, Debug)]
    enum Step {
        Append(Revocation),
        /// A JWT, on an instance that lags so many entries behind, or has not noticed that
        /// the log was set back.
        Mint {
            session: u8,
            lag: usize,
            noticed: bool,
        },
        /// The verifier is told so many entries, and then perhaps the head.
        Hear {
            entries: usize,
            window: usize,
        },
        /// The log loses its last entries.
        SetBack(usize),
        /// The connection ends.
        Cut,
        /// Another verifier, which knows nothing yet.
        Restart,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let session = 0u8..6;
        prop_oneof![
            4 => any_revocation().prop_map(Step::Append),
            4 => (session, 0usize..3, any::<bool>())
                .prop_map(|(session, lag, noticed)| Step::Mint { session, lag, noticed }),
            4 => (0usize..6, 0usize..4).prop_map(|(entries, window)| Step::Hear { entries, window }),
            1 => (1usize..6).prop_map(Step::SetBack),
            1 => Just(Step::Cut),
            1 => Just(Step::Restart),
        ]
    }

    /// A log, the JWTs minted by it, and a verifier that follows it.
    #[derive(Default)]
    struct World {
        log: Vec<Entry>,
        /// As it was before it was set back.
        lost: Vec<Entry>,
        era: u8,
        now: i64,
        minted: Vec<SessionClaims>,
        verifier: Knowledge,
        told: Option<Told>,
        is_connected: bool,
        /// When the verifier last learnt that the log was set back.
        set_back_at: Option<i64>,
    }

    /// What the verifier has been told: the log up to somewhere, but for what was before.
    struct Told {
        floor: usize,
        log: Vec<Entry>,
        /// When it was said that this was all.
        whole_at: Option<i64>,
    }

    const ORIGIN: Head = Head {
        number: LogNumber::new(0),
        mark: Mark([0; 16]),
    };

    fn head(log: &[Entry]) -> Head {
        log.last().map_or(ORIGIN, Entry::head)
    }

    fn vouched(log: &[Entry]) -> Vouched {
        let Head { number, mark } = head(log);
        Vouched {
            number,
            mark: mark.prefix(),
        }
    }

    fn has(log: &[Entry], known: Head) -> bool {
        let upto = usize::try_from(known.number.get()).unwrap();
        log.get(..upto).is_some_and(|log| head(log) == known)
    }

    fn ends(entry: &Entry, claims: &SessionClaims) -> bool {
        let is_later = claims.rev.number.get() < entry.number.get();
        match entry.revocation {
            Revocation::SessionEnded(session) => session == claims.sid,
            Revocation::UserEnded { user, spared } => {
                is_later && user == claims.sub && spared != Some(claims.sid)
            }
            Revocation::EveryoneEnded => is_later,
            Revocation::UserChanged(_) | Revocation::Unknown => false,
        }
    }

    fn outdates(entry: &Entry, claims: &SessionClaims) -> bool {
        let is_later = claims.rev.number.get() < entry.number.get();
        match entry.revocation {
            Revocation::UserChanged(user) => is_later && user == claims.sub,
            Revocation::Unknown => is_later,
            _ => false,
        }
    }

    impl World {
        fn step(&mut self, step: &Step) {
            self.now += 1;
            match *step {
                Step::Append(revocation) => {
                    let next = self.log.len() + 1;
                    let mut mark = [self.era; 16];
                    mark[0] = u8::try_from(self.now).unwrap();
                    self.log.push(Entry {
                        number: number(next),
                        mark: Mark(mark),
                        revocation,
                    });
                }
                Step::Mint {
                    session: n,
                    lag,
                    noticed,
                } => {
                    let log = if noticed { &self.log } else { &self.lost };
                    let log = &log[..log.len().saturating_sub(lag)];
                    let claims = self.claims(n, vouched(log));
                    // Nothing is minted from a session that has ended.
                    if !log.iter().any(|it| ends(it, &claims)) {
                        self.minted.push(claims);
                    }
                }
                Step::Hear { entries, window } => self.hear(entries, window),
                Step::SetBack(lost) => {
                    let left = self.log.len().saturating_sub(lost);
                    if left < self.log.len() {
                        self.lost.clone_from(&self.log);
                        self.log.truncate(left);
                        self.era += 1;
                        self.is_connected = false;
                    }
                }
                Step::Cut => self.is_connected = false,
                Step::Restart => {
                    self.verifier = Knowledge::default();
                    (self.told, self.set_back_at) = (None, None);
                    self.is_connected = false;
                }
            }
        }

        /// As an instance answers and the follower asks.
        fn hear(&mut self, entries: usize, window: usize) {
            let known = match self.verifier.position() {
                Position::After(known) if !has(&self.log, known) => {
                    self.verifier.lose();
                    None
                }
                Position::After(known) => Some(usize::try_from(known.number.get()).unwrap()),
                Position::Anywhere | Position::Anew => None,
            };
            let at = Timestamp::from_millis(self.now * 1000 + 500);
            if !self.is_connected || known.is_none() {
                let after = known.unwrap_or(self.log.len().saturating_sub(window));
                if self.verifier.position() == Position::Anew {
                    self.set_back_at = Some(self.now);
                }
                let begun = self.verifier.begin(head(&self.log[..after]), at, CAPACITY);
                assert!(begun.is_ok());
                self.is_connected = true;
                if known.is_none() {
                    self.told = Some(Told {
                        floor: after,
                        log: self.log[..after].to_vec(),
                        whole_at: self.told.as_ref().and_then(|told| told.whole_at),
                    });
                }
            }
            let told = self.told.as_mut().unwrap();
            let next = self.log[told.log.len()..].iter().take(entries);
            for entry in next {
                assert!(self.verifier.take_in(*entry).is_ok());
                told.log.push(*entry);
            }
            if told.log.len() == self.log.len() {
                let vouched = self.verifier.vouch(head(&self.log), at, uptime(0));
                assert_eq!(vouched, Ok(Concerned::Nobody));
                told.whole_at = Some(self.now);
            }
        }

        fn claims(&self, n: u8, rev: Vouched) -> SessionClaims {
            claims(n, rev, Timestamp::from_millis(self.now * 1000))
        }

        /// What is to be said of a JWT by whoever reads all that the verifier was told.
        fn verdict(&self, claims: &SessionClaims) -> Result<(), Refused> {
            let Some(Told {
                floor,
                log,
                whole_at,
            }) = &self.told
            else {
                return Ok(());
            };
            let issued_at = Timestamp::from(claims.iat).as_millis() / 1000;
            let is_set_back = self.set_back_at.is_some_and(|at| issued_at <= at);
            let rev = usize::try_from(claims.rev.number.get()).unwrap();
            let is_of_this_log = match log.get(..rev) {
                Some(then) => *floor <= rev && vouched(then) == claims.rev,
                None => whole_at.is_none_or(|at| at < issued_at + 5),
            };
            let told = &log[*floor..];
            if told.iter().any(|entry| ends(entry, claims)) {
                Err(Refused::Ended)
            } else if is_set_back
                || !is_of_this_log
                || told.iter().any(|entry| outdates(entry, claims))
            {
                Err(Refused::Outdated)
            } else {
                Ok(())
            }
        }

        /// Whether the log does not speak against a JWT.
        fn is_good(&self, claims: &SessionClaims) -> bool {
            let rev = usize::try_from(claims.rev.number.get()).unwrap();
            let then = self.log.get(..rev);
            then.is_some_and(|then| vouched(then) == claims.rev)
                && !self.log.iter().any(|entry| ends(entry, claims))
        }

        /// Whether the verifier has just heard all there is, long after a JWT was issued.
        fn knows_all_about(&self, claims: &SessionClaims) -> bool {
            let issued_at = Timestamp::from(claims.iat).as_millis() / 1000;
            let told = self.told.as_ref();
            told.and_then(|told| told.whole_at) == Some(self.now) && issued_at + 5 <= self.now
        }
    }

    fn uptime(seconds: u64) -> Uptime {
        Uptime::from_start(Duration::from_secs(seconds))
    }

    proptest! {
        /// However entries, JWTs, connections and restores follow each other, a verifier
        /// refuses what the log that it was told has ended or may have, and nothing else.
        #[test]
        fn refuses_exactly_what_the_log_speaks_against(
            steps in proptest::collection::vec(any_step(), 0..60),
        ) {
            let mut world = World::default();
            for step in steps {
                world.step(&step);
                for claims in &world.minted {
                    let found = world.verifier.judge(claims);
                    prop_assert_eq!(found, world.verdict(claims), "{:?}", claims);
                    if world.knows_all_about(claims) && !world.is_good(claims) {
                        prop_assert!(found.is_err(), "{:?}", claims);
                    }
                }
            }
        }
    }

    #[test]
    fn a_verifier_is_current_as_long_as_the_last_head_counts() {
        let mut verifier = Knowledge::default();
        let vouch = |verifier: &mut Knowledge| verifier.vouch(ORIGIN, EPOCH, uptime(6));
        assert_eq!(vouch(&mut verifier), Err(Broken), "of what?");
        assert!(verifier.begin(ORIGIN, EPOCH, CAPACITY).is_ok());
        assert!(!verifier.is_current(uptime(1)));
        assert!(vouch(&mut verifier).is_ok());
        assert!(verifier.is_current(uptime(5)));
        assert!(!verifier.is_current(uptime(6)));
    }

    /// Entries that took the place of others are not those that a JWT speaks of; and a
    /// verifier that has only begun since was told of no other log.
    #[test]
    fn a_jwt_of_entries_that_were_lost_is_refused_by_whoever_begins_after() {
        let mut world = World::default();
        let end = |n| Step::Append(Revocation::SessionEnded(session(n)));
        for step in [end(0), end(1), end(2), end(3)] {
            world.step(&step);
        }
        let claims = world.claims(4, vouched(&world.log));
        world.step(&Step::SetBack(2));
        world.step(&Step::Append(Revocation::EveryoneEnded));
        let hear = Step::Hear {
            entries: 9,
            window: 2,
        };
        world.step(&hear);
        assert_eq!(world.verifier.judge(&claims), Ok(()), "it may be to come");
        for _ in 0..3 {
            world.step(&hear);
        }
        assert_eq!(world.verifier.judge(&claims), Err(Refused::Outdated));

        world.step(&Step::Restart);
        world.step(&end(0));
        world.step(&Step::Hear {
            entries: 9,
            window: 0,
        });
        let claims = world.claims(4, claims.rev);
        assert_eq!(world.verifier.judge(&claims), Err(Refused::Outdated));
    }

    #[test]
    fn nobody_vouches_for_a_log_of_which_an_entry_is_missing_or_another() {
        let mut world = World::default();
        for _ in 0..3 {
            world.step(&Step::Append(Revocation::EveryoneEnded));
        }
        world.step(&Step::Hear {
            entries: 2,
            window: 3,
        });
        let verifier = &mut world.verifier;
        assert_eq!(
            verifier.vouch(head(&world.log), EPOCH, uptime(1)),
            Err(Broken)
        );
        let another = Head {
            mark: Mark([9; 16]),
            number: number(2),
        };
        assert_eq!(verifier.vouch(another, EPOCH, uptime(1)), Err(Broken));
        let later = Entry {
            number: number(4),
            ..world.log[2]
        };
        assert_eq!(verifier.take_in(later), Err(Broken));
        let known = head(&world.log[..1]);
        assert_eq!(verifier.begin(known, EPOCH, CAPACITY), Err(Broken));
        assert_eq!(verifier.position(), Position::Anew);
    }
}
