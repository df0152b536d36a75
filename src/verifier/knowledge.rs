//! What a verifier has heard of the revocation log, and what follows from it. Order is by
//! log number; time has a say only in what a log that was set back may have lost.

use super::Refused;
use crate::domain::jwt::SessionClaims;
use crate::domain::revocation::{Entry, Head, LogNumber, Mark};
use crate::domain::time::{Timestamp, Uptime};
use crate::domain::view::View;

#[derive(Default)]
pub(super) struct Knowledge {
    /// `None` before the first word of the log.
    view: Option<View>,
    position: Position,
    /// What was issued before is not believed: the log has been set back since.
    believed_from: Option<Timestamp>,
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

    /// Entries follow that number from now on, as was said at that time.
    pub(super) fn begin(
        &mut self,
        after: LogNumber,
        at: Timestamp,
        capacity: usize,
    ) -> Result<(), Broken> {
        match self.position {
            Position::After(known) if known.number == after => return Ok(()),
            Position::After(_) => {
                self.lose();
                return Err(Broken);
            }
            Position::Anew => self.believed_from = self.believed_from.max(Some(at)),
            Position::Anywhere => {}
        }
        let head = Head {
            number: after,
            // Nothing here asks for it.
            mark: Mark([0; 16]),
        };
        self.view = Some(View::starting_at(head, capacity));
        self.position = Position::Anywhere;
        Ok(())
    }

    pub(super) fn take_in(&mut self, entry: Entry) -> Result<(), Broken> {
        let view = self.view.as_mut().ok_or(Broken)?;
        view.advance(&[entry]).map_err(|_| Broken)?;
        self.position = Position::After(view.head());
        Ok(())
    }

    /// The log ended there, which counts until then.
    pub(super) fn vouch(&mut self, head: Head, until: Uptime) -> Result<(), Broken> {
        let is_known = match self.position {
            Position::After(known) => known == head,
            Position::Anywhere => self.view.as_ref().map(View::reached) == Some(head.number),
            Position::Anew => false,
        };
        if !is_known {
            return Err(Broken);
        }
        self.position = Position::After(head);
        self.current_until = Some(until);
        Ok(())
    }

    /// The log was set back: it does not have what is known of it.
    pub(super) const fn lose(&mut self) {
        self.position = Position::Anew;
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
        if view.ends(claims.sid, claims.sub, claims.rev) {
            Err(Refused::Ended)
        } else if claims.rev < view.floor()
            || self.believed_from.is_some_and(|from| issued_at < from)
            || view.outdates(claims.sub, claims.rev)
        {
            Err(Refused::Outdated)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::id::{SessionId, UserId};
    use crate::domain::jwt::Audience;
    use crate::domain::revocation::Revocation;

    const CAPACITY: usize = 1000;

    const EPOCH: Timestamp = Timestamp::from_millis(0);

    fn session(n: u8) -> SessionId {
        SessionId::new(EPOCH, [n; 10])
    }

    fn user(n: u8) -> UserId {
        UserId::new(EPOCH, [n; 10])
    }

    fn user_of(session: u8) -> UserId {
        user(session / 2)
    }

    fn number(n: usize) -> LogNumber {
        LogNumber::new(n as u64)
    }

    /// What may happen, one thing a second.
    #[derive(Clone, Debug)]
    enum Step {
        Append(Revocation),
        /// A JWT, on an instance that lags so many entries behind.
        Mint {
            session: u8,
            lag: usize,
        },
        /// The verifier is told so many entries, and then perhaps the head.
        Hear {
            entries: usize,
            window: usize,
        },
        /// The log loses its last entries, and with them the verifier's place.
        SetBack(usize),
        /// The connection ends.
        Cut,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let session = 0u8..6;
        let revocation = prop_oneof![
            4 => session.clone().prop_map(|n| Revocation::SessionEnded(self::session(n))),
            4 => (0u8..3, proptest::option::of(session.clone())).prop_map(|(n, spared)| {
                Revocation::UserEnded { user: user(n), spared: spared.map(self::session) }
            }),
            2 => (0u8..3).prop_map(|n| Revocation::UserChanged(user(n))),
            1 => Just(Revocation::EveryoneEnded),
            1 => Just(Revocation::Unknown),
        ];
        prop_oneof![
            4 => revocation.prop_map(Step::Append),
            4 => (session, 0usize..3).prop_map(|(session, lag)| Step::Mint { session, lag }),
            4 => (0usize..6, 0usize..4).prop_map(|(entries, window)| Step::Hear { entries, window }),
            1 => (1usize..6).prop_map(Step::SetBack),
            1 => Just(Step::Cut),
        ]
    }

    /// A log, the JWTs minted by it, and a verifier that follows it.
    #[derive(Default)]
    struct World {
        log: Vec<Entry>,
        era: u8,
        now: i64,
        minted: Vec<(SessionClaims, u8)>,
        verifier: Knowledge,
        /// What the verifier has been told: from where on, up to where, and of which era.
        told: Option<(usize, usize, u8)>,
        is_connected: bool,
        /// When the verifier last learnt that the log was set back.
        set_back_at: Option<i64>,
    }

    impl World {
        fn head(&self) -> Head {
            let origin = Head {
                number: number(0),
                mark: Mark([0; 16]),
            };
            self.log.last().map_or(origin, |last| Head {
                number: last.number,
                mark: last.mark,
            })
        }

        fn has(&self, head: Head) -> bool {
            let mark = match usize::try_from(head.number.get()).unwrap() {
                0 => Some(Mark([0; 16])),
                n => self.log.get(n - 1).map(|entry| entry.mark),
            };
            mark == Some(head.mark)
        }

        fn ends(entry: &Entry, claims: &SessionClaims) -> bool {
            let is_later = claims.rev < entry.number;
            match entry.revocation {
                Revocation::SessionEnded(session) => session == claims.sid,
                Revocation::UserEnded { user, spared } => {
                    is_later && user == claims.sub && spared != Some(claims.sid)
                }
                Revocation::EveryoneEnded => is_later,
                Revocation::UserChanged(_) | Revocation::Unknown => false,
            }
        }

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
                Step::Mint { session: n, lag } => {
                    let rev = self.log.len().saturating_sub(lag);
                    let claims = self.claims(n, rev);
                    // Nothing is minted from a session that has ended.
                    if !self.log[..rev].iter().any(|it| Self::ends(it, &claims)) {
                        self.minted.push((claims, self.era));
                    }
                }
                Step::Hear { entries, window } => self.hear(entries, window),
                Step::SetBack(lost) => {
                    let left = self.log.len().saturating_sub(lost);
                    if left < self.log.len() {
                        self.log.truncate(left);
                        self.era += 1;
                        self.is_connected = false;
                    }
                }
                Step::Cut => self.is_connected = false,
            }
        }

        /// As an instance answers and the follower asks.
        fn hear(&mut self, entries: usize, window: usize) {
            let known = match self.verifier.position() {
                Position::After(known) if !self.has(known) => {
                    self.verifier.lose();
                    None
                }
                Position::After(known) => Some(usize::try_from(known.number.get()).unwrap()),
                Position::Anywhere | Position::Anew => None,
            };
            if !self.is_connected || known.is_none() {
                let after = known.unwrap_or(self.log.len().saturating_sub(window));
                let at = Timestamp::from_millis(self.now * 1000 + 500);
                if self.verifier.position() == Position::Anew {
                    self.set_back_at = Some(self.now);
                }
                let begun = self.verifier.begin(number(after), at, CAPACITY);
                assert_eq!(begun, Ok(()));
                self.is_connected = true;
                if known.is_none() {
                    self.told = Some((after, after, self.era));
                }
            }
            let (_, upto, era) = self.told.as_mut().unwrap();
            *era = self.era;
            let last = self.log.len().min(*upto + entries);
            for entry in &self.log[*upto..last] {
                assert_eq!(self.verifier.take_in(*entry), Ok(()));
            }
            *upto = last;
            if last == self.log.len() {
                let vouched = self.verifier.vouch(self.head(), uptime(0));
                assert_eq!(vouched, Ok(()));
            }
        }

        fn claims(&self, n: u8, rev: usize) -> SessionClaims {
            let at = Timestamp::from_millis(self.now * 1000);
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
                rev: number(rev),
                email: None,
                name: None,
                auth_time: None,
            }
        }

        /// What is to be said of a JWT by whoever reads all that the verifier was told;
        /// `None` if it is of a log that the verifier does not know to be another.
        fn verdict(&self, claims: &SessionClaims, era: u8) -> Option<Result<(), Refused>> {
            let Some((floor, upto, told_era)) = self.told else {
                return Some(Ok(()));
            };
            let issued_at = Timestamp::from(claims.iat).as_millis() / 1000;
            let is_set_back = self.set_back_at.is_some_and(|at| issued_at <= at);
            if told_era != self.era || (era != told_era && !is_set_back) {
                return None;
            }
            let told = &self.log[floor..upto];
            let outdates = |entry: &Entry| match entry.revocation {
                Revocation::UserChanged(user) => user == claims.sub && claims.rev < entry.number,
                Revocation::Unknown => claims.rev < entry.number,
                _ => false,
            };
            Some(if told.iter().any(|entry| Self::ends(entry, claims)) {
                Err(Refused::Ended)
            } else if is_set_back || claims.rev < number(floor) || told.iter().any(outdates) {
                Err(Refused::Outdated)
            } else {
                Ok(())
            })
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
                for (claims, era) in &world.minted {
                    if let Some(verdict) = world.verdict(claims, *era) {
                        prop_assert_eq!(world.verifier.judge(claims), verdict, "{:?}", claims);
                    }
                }
            }
        }
    }

    #[test]
    fn a_verifier_is_current_as_long_as_the_last_head_counts() {
        let mut verifier = Knowledge::default();
        let head = World::default().head();
        assert_eq!(verifier.vouch(head, uptime(6)), Err(Broken), "of what?");
        assert_eq!(verifier.begin(head.number, EPOCH, CAPACITY), Ok(()));
        assert!(!verifier.is_current(uptime(1)));
        assert_eq!(verifier.vouch(head, uptime(6)), Ok(()));
        assert!(verifier.is_current(uptime(5)));
        assert!(!verifier.is_current(uptime(6)));
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
        let head = Head {
            number: number(3),
            mark: world.log[2].mark,
        };
        assert_eq!(verifier.vouch(head, uptime(1)), Err(Broken));
        let another = Head {
            mark: Mark([9; 16]),
            number: number(2),
        };
        assert_eq!(verifier.vouch(another, uptime(1)), Err(Broken));
        let later = Entry {
            number: number(4),
            ..world.log[2]
        };
        assert_eq!(verifier.take_in(later), Err(Broken));
        assert_eq!(verifier.begin(number(1), EPOCH, CAPACITY), Err(Broken));
        assert_eq!(verifier.position(), Position::Anew);
    }
}
