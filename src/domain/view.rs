//! The view of the revocation log that every instance keeps.
//!
//! Order is by log number, never by time. A session carries `born` and each
//! copy of it carries `vouched`, both positions of the log; the view knows what
//! the log says in the window (floor, reached]. Nothing else is needed to know
//! whether a copy may be believed, however late it arrives.

use std::collections::{HashMap, VecDeque};

use crate::domain::id::{SessionId, UserId};
use crate::domain::revocation::{Entry, Head, LogNumber, Mark, MarkPrefix, Revocation, Vouched};

/// What an instance knows of the log: everything in (floor, reached].
///
/// Two generations of entries bound its memory: when the recent one is full, it
/// becomes the older one, whose predecessor is dropped and leaves its end as the
/// floor.
pub struct View {
    capacity: usize,
    head: Head,
    /// Up to where the ledger itself has said what is known.
    confirmed: LogNumber,
    /// Of the entries from the floor to the head.
    marks: VecDeque<MarkPrefix>,
    /// The last entries as they came.
    latest: VecDeque<Entry>,
    /// How many they are at most.
    kept_latest: usize,
    recent: Generation,
    older: Generation,
}

/// What was ended in a part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    pub sessions: Vec<SessionId>,
    /// With the session that all cut-offs of that user spare.
    pub users: HashMap<UserId, Option<SessionId>>,
    pub everyone: bool,
}

/// An entry is missing between what the view has reached and what it was given.
#[derive(Debug, PartialEq, Eq)]
pub struct Gap;

impl View {
    /// An empty view of a log that stands at `head`. Copies vouched before it
    /// are not believed.
    #[must_use]
    pub fn starting_at(head: Head, capacity: usize) -> Self {
        Self {
            capacity,
            head,
            confirmed: head.number,
            marks: VecDeque::from([head.mark.prefix()]),
            latest: VecDeque::new(),
            kept_latest: 0,
            recent: Generation::after(head.number),
            older: Generation::after(head.number),
        }
    }

    /// The same, which keeps so many of its last entries as they came.
    #[must_use]
    pub fn keeping_latest(self, entries: usize) -> Self {
        Self {
            kept_latest: entries,
            ..self
        }
    }

    #[must_use]
    pub const fn floor(&self) -> LogNumber {
        self.older.floor
    }

    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    #[must_use]
    pub const fn reached(&self) -> LogNumber {
        self.head.number
    }

    /// As others are told.
    #[must_use]
    pub const fn stands_at(&self) -> Vouched {
        Vouched {
            number: self.head.number,
            mark: self.head.mark.prefix(),
        }
    }

    /// The ledger has said, or this instance itself committed, all that is known.
    pub const fn confirm(&mut self) {
        self.confirmed = self.head.number;
    }

    /// Takes in entries in the order of their numbers; those already known are
    /// passed over.
    ///
    /// # Errors
    /// [`Gap`] if an entry is missing; what came before it has been taken in.
    pub fn advance(&mut self, entries: &[Entry]) -> Result<(), Gap> {
        for entry in entries {
            if entry.number <= self.reached() {
                continue;
            }
            if entry.number != self.reached().next() {
                return Err(Gap);
            }
            if self.recent.weight() >= self.capacity / 2 {
                let next = Generation::following(&self.recent, self.reached());
                let dropped = std::mem::replace(&mut self.recent, next);
                let dropped = std::mem::replace(&mut self.older, dropped);
                self.marks.drain(..dropped.entries);
            }
            self.marks.push_back(entry.mark.prefix());
            self.recent.record(entry);
            if self.kept_latest > 0 {
                if self.latest.len() == self.kept_latest {
                    self.latest.pop_front();
                }
                self.latest.push_back(*entry);
            }
            self.head = Head {
                number: entry.number,
                mark: entry.mark,
            };
        }
        Ok(())
    }

    /// Takes in entries that were appended just now, if they follow the very entry
    /// that the view stands at.
    ///
    /// # Errors
    /// [`Gap`] if they do not, or if that is not known.
    pub fn follow(&mut self, after: Option<Mark>, entries: &[Entry]) -> Result<(), Gap> {
        if after != Some(self.head.mark) {
            return Err(Gap);
        }
        self.advance(entries)
    }

    /// Whether the log has ended the session.
    #[must_use]
    pub fn ends(&self, session: SessionId, user: UserId, born: LogNumber) -> bool {
        self.generations().any(|g| g.ends(session, user, born))
    }

    /// Whether a copy may be held against this view: it was read from this very
    /// log, at a number inside the window.
    #[must_use]
    pub fn covers(&self, vouched: Vouched) -> bool {
        self.mark_at(vouched.number) == Some(vouched.mark)
    }

    /// The mark of an entry from the floor to the head.
    #[must_use]
    pub fn mark_at(&self, number: LogNumber) -> Option<MarkPrefix> {
        let from_floor = number.get().checked_sub(self.floor().get())?;
        self.marks.get(usize::try_from(from_floor).ok()?).copied()
    }

    /// The entries that followed `known`, if they are still there as they came, and it
    /// is of this very log.
    #[must_use]
    pub fn latest_after(&self, known: Head) -> Option<impl Iterator<Item = &Entry>> {
        let behind = self.reached().get().checked_sub(known.number.get())?;
        let first = self
            .latest
            .len()
            .checked_sub(usize::try_from(behind).ok()?)?;
        let is_known = self.mark_at(known.number) == Some(known.mark.prefix());
        is_known.then(|| self.latest.range(first..))
    }

    /// What was ended after that number: what a log that was set back to it has lost.
    /// What is known from a push alone does not count: it may never have been there.
    #[must_use]
    pub fn ended_after(&self, number: LogNumber) -> Ended {
        let mut ended = Ended::default();
        let last = self.confirmed;
        for generation in self.generations() {
            let is_lost = |at: LogNumber| number < at && at <= last;
            let sessions = generation.sessions.iter();
            let sessions = sessions.filter(|(_, at)| {
                is_lost(LogNumber::new(generation.floor.get() + u64::from(**at)))
            });
            ended.sessions.extend(sessions.map(|(session, _)| *session));
            ended.everyone |= is_lost(generation.everyone);
            for (user, cutoff) in generation.ended.iter().filter(|(_, c)| is_lost(c.latest)) {
                let spared = cutoff.spared.filter(|_| cutoff.not_sparing <= number);
                ended
                    .users
                    .entry(*user)
                    .and_modify(|known| *known = known.filter(|_| *known == spared))
                    .or_insert(spared);
            }
        }
        ended
    }

    /// Whether the user has changed since a copy was vouched for.
    #[must_use]
    pub fn outdates(&self, user: UserId, vouched: LogNumber) -> bool {
        self.generations().any(|g| g.outdates(user, vouched))
    }

    fn generations(&self) -> impl Iterator<Item = &Generation> {
        [&self.recent, &self.older].into_iter()
    }
}

struct Generation {
    /// The last number before this generation's first.
    floor: LogNumber,
    entries: usize,
    /// With their numbers, counted from the floor.
    sessions: HashMap<SessionId, u32>,
    ended: HashMap<UserId, Cutoff>,
    changed: HashMap<UserId, LogNumber>,
    everyone: LogNumber,
    unknown: LogNumber,
}

impl Generation {
    fn after(floor: LogNumber) -> Self {
        Self {
            floor,
            entries: 0,
            sessions: HashMap::new(),
            ended: HashMap::new(),
            changed: HashMap::new(),
            everyone: LogNumber::default(),
            unknown: LogNumber::default(),
        }
    }

    /// With room for what the one before it had, so that its memory does not peak
    /// while it grows.
    fn following(before: &Self, floor: LogNumber) -> Self {
        Self {
            sessions: HashMap::with_capacity(before.sessions.len()),
            ended: HashMap::with_capacity(before.ended.len()),
            ..Self::after(floor)
        }
    }

    /// How many entries it is worth: a user's cut-off takes as much memory as almost
    /// three sessions that have ended.
    fn weight(&self) -> usize {
        self.entries + 2 * self.ended.len()
    }

    fn record(&mut self, entry: &Entry) {
        self.entries += 1;
        match entry.revocation {
            Revocation::SessionEnded(session) => {
                let from_floor = entry.number.get() - self.floor.get();
                let from_floor = u32::try_from(from_floor).unwrap_or(u32::MAX);
                self.sessions.insert(session, from_floor);
            }
            Revocation::UserEnded { user, spared } => {
                self.ended
                    .entry(user)
                    .and_modify(|cutoff| cutoff.follow(entry.number, spared))
                    .or_insert_with(|| Cutoff::new(entry.number, spared));
            }
            Revocation::UserChanged(user) => {
                self.changed.insert(user, entry.number);
            }
            Revocation::EveryoneEnded => self.everyone = entry.number,
            Revocation::Unknown => self.unknown = entry.number,
        }
    }

    fn ends(&self, session: SessionId, user: UserId, born: LogNumber) -> bool {
        born < self.everyone
            || self.sessions.contains_key(&session)
            || self
                .ended
                .get(&user)
                .is_some_and(|cutoff| cutoff.ends(session, born))
    }

    fn outdates(&self, user: UserId, vouched: LogNumber) -> bool {
        vouched < self.unknown || self.changed.get(&user).is_some_and(|at| vouched < *at)
    }
}

/// All cut-offs of one user in one value: the latest, whom it spares, and the
/// latest that does not spare that one.
struct Cutoff {
    latest: LogNumber,
    spared: Option<SessionId>,
    not_sparing: LogNumber,
}

impl Cutoff {
    fn new(number: LogNumber, spared: Option<SessionId>) -> Self {
        Self {
            latest: number,
            spared,
            not_sparing: LogNumber::default(),
        }
    }

    fn follow(&mut self, number: LogNumber, spared: Option<SessionId>) {
        if spared != self.spared {
            self.not_sparing = self.latest;
            self.spared = spared;
        }
        self.latest = number;
    }

    fn ends(&self, session: SessionId, born: LogNumber) -> bool {
        if self.spared == Some(session) {
            born < self.not_sparing
        } else {
            born < self.latest
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::revocation::tests::{any_revocation, session, user};
    use crate::domain::time::Timestamp;

    fn number(n: u64) -> LogNumber {
        LogNumber::new(n)
    }

    fn entry(n: u64, revocation: Revocation) -> Entry {
        Entry {
            number: number(n),
            mark: Mark([u8::try_from(n % 251).unwrap(); 16]),
            revocation,
        }
    }

    fn view(at: u64, capacity: usize) -> View {
        let head = Head {
            number: number(at),
            mark: Mark([0; 16]),
        };
        View::starting_at(head, capacity)
    }

    #[test]
    fn a_gap_is_noticed_and_a_known_entry_is_passed_over() {
        let mut view = view(5, 100);
        let six = entry(6, Revocation::EveryoneEnded);
        let eight = entry(8, Revocation::EveryoneEnded);
        assert_eq!(view.advance(&[six, eight]), Err(Gap));
        assert_eq!(view.reached(), number(6));
        assert_eq!(view.advance(&[six]), Ok(()));
        assert_eq!(view.head().mark, six.mark);
    }

    #[test]
    fn entries_are_kept_as_they_came_if_they_are_to_be() {
        let entries: Vec<_> = (1..=5)
            .map(|n| entry(n, Revocation::EveryoneEnded))
            .collect();
        for kept in [0, 3] {
            let mut view = view(0, 100).keeping_latest(kept);
            view.advance(&entries).unwrap();
            let after = |n: usize| {
                let latest = view.latest_after(entries[n - 1].head())?;
                Some(latest.copied().collect::<Vec<_>>())
            };
            assert_eq!(after(5), Some(vec![]));
            assert_eq!(after(5 - kept), Some(entries[5 - kept..].to_vec()));
            assert_eq!(after(5 - kept - 1), None);
        }
    }

    #[test]
    fn what_was_appended_to_another_log_does_not_follow() {
        let mut view = view(5, 100);
        let six = [entry(6, Revocation::EveryoneEnded)];
        assert_eq!(view.follow(Some(Mark([9; 16])), &six), Err(Gap));
        assert_eq!(view.follow(None, &six), Err(Gap));
        assert_eq!(view.reached(), number(5));
        assert_eq!(view.follow(Some(Mark([0; 16])), &six), Ok(()));
        assert_eq!(view.reached(), number(6));
    }

    #[test]
    fn a_copy_of_the_future_or_of_another_log_is_not_covered() {
        let mut view = view(5, 100);
        let six = entry(6, Revocation::EveryoneEnded);
        view.advance(&[six]).unwrap();
        let vouched = |n, mark: Mark| Vouched {
            number: number(n),
            mark: mark.prefix(),
        };
        assert!(view.covers(vouched(5, Mark([0; 16]))));
        assert!(view.covers(vouched(6, six.mark)));
        assert!(!view.covers(vouched(6, Mark([9; 16]))));
        assert!(!view.covers(vouched(7, six.mark)));
        assert!(!view.covers(vouched(4, Mark([0; 16]))));
    }

    #[test]
    fn what_a_log_has_lost_is_known() {
        let mut view = view(0, 10);
        let user_ended = |spared: Option<u8>| Revocation::UserEnded {
            user: user(1),
            spared: spared.map(session),
        };
        let log = [
            Revocation::SessionEnded(session(1)),
            user_ended(Some(7)),
            Revocation::SessionEnded(session(2)),
            user_ended(Some(7)),
        ];
        let entries: Vec<_> = (1..).zip(log).map(|(n, r)| entry(n, r)).collect();
        view.advance(&entries).unwrap();
        assert_eq!(view.ended_after(number(0)), Ended::default(), "pushed");
        view.confirm();
        let lost = view.ended_after(number(1));
        assert_eq!(lost.sessions, [session(2)]);
        assert_eq!(lost.users, HashMap::from([(user(1), Some(session(7)))]));
        assert!(!lost.everyone);
        view.advance(&[
            entry(5, user_ended(Some(8))),
            entry(6, Revocation::EveryoneEnded),
        ])
        .unwrap();
        view.confirm();
        let lost = view.ended_after(number(3));
        assert_eq!(lost.sessions, []);
        assert_eq!(lost.users, HashMap::from([(user(1), None)]));
        assert!(lost.everyone);
        let lost = view.ended_after(number(4));
        assert_eq!(lost.users, HashMap::from([(user(1), Some(session(8)))]));
        assert_eq!(view.ended_after(number(6)), Ended::default());
    }

    #[test]
    fn an_unknown_kind_makes_everything_older_stale() {
        let mut view = view(0, 100);
        view.advance(&[entry(1, Revocation::Unknown)]).unwrap();
        assert!(view.outdates(user(1), number(0)));
        assert!(!view.outdates(user(1), number(1)));
    }

    proptest! {
        /// The view, whatever it has dropped, against the whole log read entry
        /// by entry: no copy is believed that the log speaks against, and none
        /// inside the window is refused without cause.
        #[test]
        fn believes_exactly_what_the_log_does_not_contradict(
            log in proptest::collection::vec(any_revocation(), 0..40),
            capacity in 2usize..20,
            user_number in 0u8..3,
            session_number in 0u8..6,
            born in 0u64..40,
            age in 0u64..40,
        ) {
            let entries: Vec<_> = (1..).zip(log).map(|(n, r)| entry(n, r)).collect();
            let mut view = view(0, capacity);
            view.advance(&entries).unwrap();
            let (user, session) = (user(user_number), session(session_number));
            let vouched = (born + age).min(entries.len() as u64);
            let born = born.min(vouched);

            let ended_at = |entry: &&Entry| match entry.revocation {
                Revocation::SessionEnded(ended) => ended == session,
                Revocation::UserEnded { user: ended, spared } => {
                    ended == user && spared != Some(session) && number(born) < entry.number
                }
                Revocation::EveryoneEnded => number(born) < entry.number,
                Revocation::UserChanged(_) | Revocation::Unknown => false,
            };
            // A ledger vouches for no session that the log has ended by then.
            prop_assume!(!entries.iter().take(usize::try_from(vouched).unwrap()).any(|e| ended_at(&e)));

            let ended = entries.iter().any(|e| ended_at(&e));
            let changed = entries.iter().any(|e| {
                let may_be_of_the_user =
                    [Revocation::UserChanged(user), Revocation::Unknown].contains(&e.revocation);
                may_be_of_the_user && number(vouched) < e.number
            });
            let mark = match vouched {
                0 => Mark([0; 16]),
                n => entries[usize::try_from(n).unwrap() - 1].mark,
            };
            let vouched = Vouched { number: number(vouched), mark: mark.prefix() };
            prop_assert_eq!(view.covers(vouched), vouched.number.get() >= view.floor().get());
            if view.covers(vouched) {
                prop_assert_eq!(view.ends(session, user, number(born)), ended);
                prop_assert_eq!(view.outdates(user, vouched.number), changed);
            }
            let of_another_log = Vouched { mark: MarkPrefix([255; 4]), ..vouched };
            prop_assert!(!view.covers(of_another_log));
        }
    }

    #[test]
    fn the_window_stays_within_its_capacity() {
        let mut view = view(0, 1000);
        for n in 1..=10_000 {
            let id = SessionId::new(Timestamp::from_millis(i64::try_from(n).unwrap()), [0; 10]);
            view.advance(&[entry(n, Revocation::SessionEnded(id))])
                .unwrap();
        }
        let kept = view.recent.sessions.len() + view.older.sessions.len();
        assert!((500..=1000).contains(&kept), "{kept}");
        assert_eq!(view.marks.len(), kept + 1);
        assert!(view.floor() >= number(9_000));
    }
}
