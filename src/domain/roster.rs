//! What an instance knows of the others: how far each has come in the revocation
//! log, and since when nobody can have gone further unnoticed.

use std::collections::{HashMap, VecDeque};

use crate::domain::instance::{
    Beat, BeatNumber, InstanceId, LONGEST_LEASE, Push, Registered, Report,
};
use crate::domain::revocation::{Appended, LogNumber, Vouched};
use crate::domain::time::Uptime;
use crate::domain::view::View;

/// Beats of one's own that are remembered, more than a lease has.
const REMEMBERED: usize = 8192;

pub struct Roster {
    own: InstanceId,
    last: BeatNumber,
    last_push: BeatNumber,
    /// When the latest of one's own beats were made.
    made: VecDeque<(BeatNumber, Uptime)>,
    /// The latest of one's own beats that came back: the way there and back works.
    returned: Option<BeatNumber>,
    /// Whether all that was said since the ledger was last asked has been heard.
    has_heard_all: bool,
    /// The furthest number of the log that anybody has spoken of since the ledger was
    /// last asked.
    spoken_of: LogNumber,
    /// The furthest before that, as long as the ledger has not answered.
    spoken_of_before: LogNumber,
    others: HashMap<InstanceId, Other>,
}

/// The ledger was asked then.
#[derive(Debug)]
pub struct Asked(Uptime);

impl Asked {
    #[must_use]
    pub const fn at(&self) -> Uptime {
        self.0
    }
}

struct Other {
    number: BeatNumber,
    last_push: BeatNumber,
    reached: Option<Vouched>,
    is_last: bool,
    /// The latest of our beats that it says it has heard.
    hears: Option<BeatNumber>,
    /// When it last said anything, or was first heard of.
    alive_at: Uptime,
    /// When it last said something that can stretch its belief: a beat, which others
    /// answer.
    heard_at: Option<Uptime>,
    is_registered: bool,
    /// Since when it is known to be struck off.
    struck_off_at: Option<Uptime>,
    /// What it last said through the ledger, and whether that was news.
    report: Option<Report>,
    is_reporting: bool,
}

impl Other {
    const fn new(at: Uptime) -> Self {
        Self {
            number: BeatNumber::new(0),
            last_push: BeatNumber::new(0),
            reached: None,
            is_last: false,
            hears: None,
            alive_at: at,
            heard_at: None,
            is_registered: false,
            struck_off_at: None,
            report: None,
            is_reporting: false,
        }
    }

    /// Takes in what it says, unless that is no news.
    fn say(&mut self, number: BeatNumber, reached: Vouched, at: Uptime) -> bool {
        let is_news = number > self.number;
        if is_news {
            self.number = number;
            self.reached = Some(reached);
            self.alive_at = at;
        }
        is_news
    }

    /// Whether it believes nothing any more: it has left, or was struck off more than
    /// a lease ago; and nobody can have vouched for it since then.
    fn is_gone(&self, now: Uptime) -> bool {
        let since = now - LONGEST_LEASE;
        let is_off = !self.is_registered || self.struck_off_at.is_some_and(|at| at <= since);
        self.is_last || (is_off && self.heard_at.is_none_or(|at| at <= since))
    }
}

impl Roster {
    #[must_use]
    pub fn new(own: InstanceId) -> Self {
        Self {
            own,
            last: BeatNumber::default(),
            last_push: BeatNumber::default(),
            made: VecDeque::new(),
            returned: None,
            has_heard_all: false,
            spoken_of: LogNumber::default(),
            spoken_of_before: LogNumber::default(),
            others: HashMap::new(),
        }
    }

    #[must_use]
    pub const fn own(&self) -> InstanceId {
        self.own
    }

    /// Whether there is nobody who could have to hear of this instance.
    #[must_use]
    pub fn is_alone(&self, now: Uptime) -> bool {
        self.others.values().all(|other| other.is_gone(now))
    }

    /// How many are registered and not missed, oneself included.
    #[must_use]
    pub fn present(&self) -> u32 {
        let is_there = |other: &&Other| other.is_registered && other.struck_off_at.is_none();
        let others = self.others.values().filter(is_there).count();
        u32::try_from(others + 1).unwrap_or(u32::MAX)
    }

    /// The next beat of one's own.
    pub fn beat(&mut self, reached: Vouched, is_last: bool, at: Uptime) -> Beat {
        self.last = self.last.next();
        self.made.push_back((self.last, at));
        if self.made.len() > REMEMBERED {
            self.made.pop_front();
        }
        Beat {
            instance: self.own,
            number: self.last,
            reached,
            is_last,
            heard: self
                .others
                .iter()
                .map(|(instance, other)| (*instance, other.number))
                .collect(),
        }
    }

    /// The next push of one's own.
    pub fn push(&mut self, appended: Appended) -> Push {
        self.last_push = self.last_push.next();
        Push {
            instance: self.own,
            number: self.last_push,
            appended,
        }
    }

    /// Whether a push may be taken in: from who is enrolled, and not for the second
    /// time. After a restore, one recorded before it would fit the log again.
    pub fn admits(&mut self, push: &Push) -> bool {
        let Some(other) = self.others.get_mut(&push.instance) else {
            return false;
        };
        let is_news = push.number > other.last_push;
        other.last_push = other.last_push.max(push.number);
        is_news && other.is_registered && other.struck_off_at.is_none()
    }

    /// This instance itself was away: nobody else can be missed for that time.
    pub fn forgive(&mut self, now: Uptime) {
        for other in self.others.values_mut() {
            other.alive_at = now;
        }
    }

    /// Takes in a beat that came just now.
    pub fn hear(&mut self, beat: &Beat, at: Uptime) {
        if beat.instance == self.own {
            self.returned = self.returned.max(Some(beat.number));
            return;
        }
        self.hear_of(beat.reached.number);
        let other = self.others.entry(beat.instance);
        let other = other.or_insert_with(|| Other::new(at));
        if other.say(beat.number, beat.reached, at) {
            other.heard_at = Some(at);
            other.is_last = beat.is_last;
            let own = beat.heard.iter().find(|(heard, _)| *heard == self.own);
            other.hears = own.map(|(_, number)| *number);
        }
    }

    /// Somebody has spoken of that number of the log: nothing is proven by who has
    /// not come so far.
    pub fn hear_of(&mut self, number: LogNumber) {
        self.spoken_of = self.spoken_of.max(number);
    }

    /// The ledger is asked, from now on.
    #[must_use]
    pub fn ask(&mut self, at: Uptime) -> Asked {
        let before = self.spoken_of_before.max(self.spoken_of);
        (self.spoken_of_before, self.spoken_of) = (before, LogNumber::default());
        Asked(at)
    }

    /// Beats may have been missed: until the ledger is asked the next time, nobody
    /// knows who has joined.
    pub const fn miss(&mut self) {
        self.has_heard_all = false;
    }

    /// The log is another one: its numbers mean nothing any more.
    pub fn begin_anew(&mut self) {
        self.spoken_of = LogNumber::default();
        self.spoken_of_before = LogNumber::default();
        for other in self.others.values_mut() {
            other.reached = None;
        }
    }

    /// Takes in who is registered, as the ledger has said since it was asked, and the view
    /// has taken in its whole log: what was spoken of before is in it, or of a log that was
    /// set back. `has_heard_all`: from before that, all beats have been heard.
    pub fn enrol(
        &mut self,
        registered: &[Registered],
        has_heard_all: bool,
        Asked(asked_at): Asked,
        now: Uptime,
    ) {
        self.has_heard_all = has_heard_all;
        self.spoken_of_before = LogNumber::default();
        for other in self.others.values_mut() {
            other.is_registered = false;
        }
        for one in registered.iter().filter(|one| one.instance != self.own) {
            let other = self.others.entry(one.instance);
            let other = other.or_insert_with(|| Other::new(now));
            other.is_registered = true;
            if one.is_struck_off {
                other.struck_off_at.get_or_insert(now);
            } else {
                other.struck_off_at = None;
            }
            other.is_reporting = one.report != other.report;
            other.report = one.report;
            if let Some(report) = one.report {
                other.say(report.number, report.reached, now);
            }
        }
        // Who was heard meanwhile may have joined meanwhile.
        self.others.retain(|_, other| {
            let is_news = other.heard_at.is_some_and(|at| at >= asked_at);
            other.is_registered || is_news || !other.is_gone(now)
        });
    }

    /// Whether somebody hears of this instance through the ledger alone.
    #[must_use]
    pub fn somebody_is_deaf(&self) -> bool {
        let is_deaf = |other: &Other| other.report.is_some_and(|report| report.is_deaf);
        self.others
            .values()
            .any(|other| other.is_reporting && is_deaf(other))
    }

    /// Whether one's own beats have come back since then.
    #[must_use]
    pub fn hears_itself(&self, since: Uptime) -> bool {
        self.made_at(self.returned).is_some_and(|at| at >= since)
    }

    /// Who is enrolled but has said nothing since then.
    #[must_use]
    pub fn silent(&self, since: Uptime) -> Vec<InstanceId> {
        let silent = self.others.iter().filter(|(_, other)| {
            other.is_registered && other.struck_off_at.is_none() && other.alive_at < since
        });
        silent.map(|(instance, _)| *instance).collect()
    }

    /// Who may still accept what ended by that number of the log.
    #[must_use]
    pub fn pending(&self, number: LogNumber, view: &View, now: Uptime) -> Vec<InstanceId> {
        let pending = self.others.iter().filter(|(_, other)| {
            let has_reached = other.reached.is_some_and(|reached| {
                reached.number.get() >= number.get() && view.covers(reached)
            });
            !has_reached && !other.is_gone(now)
        });
        pending.map(|(instance, _)| *instance).collect()
    }

    /// Until when it is proven that nobody else has revoked anything this view does
    /// not know. `None`: it is not proven for any time.
    ///
    /// Each other instance must have said, after a beat of ours, that its view
    /// stands no further than ours; what it revokes later, it says later. Ours must
    /// have come back as well: silence where nothing can be heard proves nothing.
    #[must_use]
    pub fn proven(&self, view: &View) -> Option<Uptime> {
        let spoken_of = self.spoken_of.max(self.spoken_of_before);
        if !self.has_heard_all || spoken_of > view.reached() {
            return None;
        }
        let mut proven = self.made_at(self.returned)?;
        for other in self.others.values() {
            let stands_behind = other.reached.is_some_and(|reached| view.covers(reached));
            if !stands_behind {
                return None;
            }
            if !other.is_last {
                proven = proven.min(self.made_at(other.hears)?);
            }
        }
        Some(proven)
    }

    fn made_at(&self, number: Option<BeatNumber>) -> Option<Uptime> {
        let number = number?;
        let made = self.made.iter().rev().find(|(made, _)| *made == number);
        made.map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::revocation::{Entry, Head, Mark, MarkPrefix, Revocation};
    use crate::domain::time::Timestamp;

    const ADA: u8 = 1;
    const BOB: u8 = 2;

    fn id(n: u8) -> InstanceId {
        InstanceId::new(Timestamp::from_millis(0), [n; 10])
    }

    fn at(millis: u64) -> Uptime {
        Uptime::from_start(Duration::from_millis(millis))
    }

    /// A log whose entry n has the mark n.
    fn position(number: u8) -> Vouched {
        Vouched {
            number: LogNumber::new(number.into()),
            mark: MarkPrefix([number; 4]),
        }
    }

    fn view(reached: u8) -> View {
        let head = Head {
            number: LogNumber::new(0),
            mark: Mark([0; 16]),
        };
        let mut view = View::starting_at(head, 1000);
        let entries = (1..=reached).map(|number| Entry {
            number: LogNumber::new(number.into()),
            mark: Mark([number; 16]),
            revocation: Revocation::EveryoneEnded,
        });
        view.advance(&entries.collect::<Vec<_>>()).unwrap();
        view
    }

    fn enrolled(n: u8) -> Registered {
        Registered {
            instance: id(n),
            report: None,
            is_struck_off: false,
        }
    }

    fn enrol(ada: &mut Roster, registered: &[Registered], asked_at: Uptime, now: Uptime) {
        let asked = ada.ask(asked_at);
        ada.enrol(registered, true, asked, now);
    }

    /// Ada, who knows of Bob.
    fn roster() -> Roster {
        let mut ada = Roster::new(id(ADA));
        enrol(&mut ada, &[enrolled(ADA), enrolled(BOB)], at(0), at(0));
        ada
    }

    fn bobs(number: u64, reached: u8, hears: Option<&Beat>) -> Beat {
        Beat {
            instance: id(BOB),
            number: BeatNumber::new(number),
            reached: position(reached),
            is_last: false,
            heard: hears.map(|ada| (id(ADA), ada.number)).into_iter().collect(),
        }
    }

    #[test]
    fn what_is_proven_is_as_old_as_the_beat_that_was_answered() {
        let (mut ada, view) = (roster(), view(3));
        let mine = ada.beat(position(3), false, at(100));
        assert_eq!(ada.proven(&view), None, "nothing was heard");
        ada.hear(&mine, at(110));
        assert_eq!(ada.proven(&view), None, "Bob was not heard");
        ada.hear(&bobs(1, 3, None), at(200));
        assert_eq!(ada.proven(&view), None, "Bob does not say that he hears");
        ada.hear(&bobs(2, 3, Some(&mine)), at(9000));
        assert_eq!(ada.proven(&view), Some(at(100)), "however late it has come");
        ada.beat(position(3), false, at(9100));
        ada.hear(&bobs(3, 3, Some(&mine)), at(9200));
        assert_eq!(ada.proven(&view), Some(at(100)));
    }

    #[test]
    fn nothing_is_proven_by_who_stands_further_or_in_another_log() {
        let (mut ada, view) = (roster(), view(3));
        let mine = ada.beat(position(3), false, at(100));
        ada.hear(&mine, at(100));
        ada.hear(&bobs(1, 2, Some(&mine)), at(150));
        assert_eq!(ada.proven(&view), Some(at(100)));
        ada.hear(&bobs(2, 4, Some(&mine)), at(200));
        assert_eq!(ada.proven(&view), None);
        let mut of_another_log = bobs(3, 2, Some(&mine));
        of_another_log.reached.mark = MarkPrefix([9; 4]);
        ada.hear(&of_another_log, at(300));
        assert_eq!(ada.proven(&view), None);
        ada.hear(&bobs(1, 2, Some(&mine)), at(400));
        assert_eq!(ada.proven(&view), None, "an old beat is no news");
    }

    #[test]
    fn who_joins_unheard_ends_every_proof_until_the_ledger_was_asked() {
        let (mut ada, view) = (Roster::new(id(ADA)), view(0));
        let mine = ada.beat(position(0), false, at(100));
        ada.hear(&mine, at(100));
        assert_eq!(ada.proven(&view), None, "the ledger was not asked");
        enrol(&mut ada, &[enrolled(ADA)], at(110), at(110));
        assert_eq!(ada.proven(&view), Some(at(100)), "alone");
        ada.miss();
        assert_eq!(ada.proven(&view), None);
        enrol(&mut ada, &[enrolled(ADA)], at(120), at(120));
        ada.hear(&bobs(1, 0, None), at(130));
        assert_eq!(ada.proven(&view), None, "one whom the ledger did not name");
    }

    #[test]
    fn who_has_left_need_not_answer_but_must_not_have_gone_further() {
        let (mut ada, view) = (roster(), view(3));
        let mine = ada.beat(position(3), false, at(100));
        ada.hear(&mine, at(100));
        let farewell = |number, reached| Beat {
            is_last: true,
            ..bobs(number, reached, None)
        };
        ada.hear(&farewell(1, 3), at(200));
        assert_eq!(ada.proven(&view), Some(at(100)));
        ada.hear(&farewell(2, 4), at(200));
        assert_eq!(ada.proven(&view), None);
    }

    #[test]
    fn a_push_is_taken_once_and_only_from_who_is_enrolled() {
        let mut ada = roster();
        let push = |n, number| Push {
            instance: id(n),
            number: BeatNumber::new(number),
            appended: Appended::default(),
        };
        assert!(ada.admits(&push(BOB, 7)));
        assert!(!ada.admits(&push(BOB, 7)));
        assert!(!ada.admits(&push(BOB, 6)));
        assert!(ada.admits(&push(BOB, 8)));
        assert!(!ada.admits(&push(3, 1)), "a stranger");
        let struck_off = Registered {
            is_struck_off: true,
            ..enrolled(BOB)
        };
        enrol(&mut ada, &[enrolled(ADA), struck_off], at(1), at(1));
        assert!(!ada.admits(&push(BOB, 9)));
    }

    #[test]
    fn what_was_spoken_of_and_is_not_known_ends_every_proof() {
        let (mut ada, mut view) = (roster(), view(3));
        let mine = ada.beat(position(3), false, at(100));
        ada.hear(&mine, at(100));
        ada.hear(&bobs(1, 3, Some(&mine)), at(200));
        ada.hear_of(LogNumber::new(4));
        assert_eq!(ada.proven(&view), None);
        view.advance(&[Entry {
            number: LogNumber::new(4),
            mark: Mark([4; 16]),
            revocation: Revocation::EveryoneEnded,
        }])
        .unwrap();
        assert_eq!(ada.proven(&view), Some(at(100)));
    }

    #[test]
    fn who_joins_while_the_ledger_is_asked_is_not_forgotten() {
        let (mut ada, view) = (Roster::new(id(ADA)), view(0));
        let mine = ada.beat(position(0), false, at(100));
        ada.hear(&mine, at(100));
        ada.hear(&bobs(1, 0, None), at(130));
        enrol(&mut ada, &[enrolled(ADA)], at(120), at(120));
        assert_eq!(ada.proven(&view), None);
        enrol(&mut ada, &[enrolled(ADA)], at(9000), at(9000));
        assert_eq!(ada.proven(&view), Some(at(100)));
    }

    #[test]
    fn what_the_ledger_does_not_know_was_of_a_log_that_was_set_back() {
        let (mut ada, view) = (roster(), view(3));
        let is_proven = |ada: &mut Roster, number, now| {
            let mine = ada.beat(position(3), false, at(now));
            ada.hear(&mine, at(now));
            ada.hear(&bobs(number, 3, Some(&mine)), at(now + 1));
            ada.proven(&view).is_some()
        };
        ada.begin_anew();
        ada.hear_of(LogNumber::new(7));
        assert!(!is_proven(&mut ada, 1, 100));
        let _ = ada.ask(at(150));
        assert!(!is_proven(&mut ada, 2, 200), "it does not answer");
        let asked = ada.ask(at(250));
        assert!(!is_proven(&mut ada, 3, 300), "it has not answered yet");
        let both = [enrolled(ADA), enrolled(BOB)];
        ada.enrol(&both, true, asked, at(310));
        assert!(is_proven(&mut ada, 4, 400));

        let asked = ada.ask(at(450));
        ada.hear_of(LogNumber::new(7));
        ada.enrol(&both, true, asked, at(460));
        assert!(
            !is_proven(&mut ada, 5, 500),
            "it may be younger than the answer"
        );
    }

    #[test]
    fn who_has_not_come_so_far_is_waited_for_until_gone() {
        let (mut ada, view) = (roster(), view(9));
        let pending =
            |ada: &Roster, number, now| ada.pending(LogNumber::new(number), &view, at(now));
        assert_eq!(pending(&ada, 3, 0), [id(BOB)]);
        ada.hear(&bobs(1, 2, None), at(10));
        assert_eq!(pending(&ada, 3, 0), [id(BOB)]);
        ada.hear(&bobs(2, 3, None), at(20));
        assert_eq!(pending(&ada, 3, 0), []);

        let struck_off = Registered {
            is_struck_off: true,
            ..enrolled(BOB)
        };
        assert_eq!(ada.silent(at(1000)), [id(BOB)]);
        enrol(&mut ada, &[enrolled(ADA), struck_off], at(2000), at(2000));
        assert_eq!(ada.silent(at(3000)), []);
        assert_eq!(pending(&ada, 9, 6999), [id(BOB)]);
        assert_eq!(pending(&ada, 9, 7000), []);
        // Struck off, but others may vouch for it: it still beats.
        ada.hear(&bobs(3, 3, None), at(2500));
        assert_eq!(pending(&ada, 9, 7499), [id(BOB)]);
        assert_eq!(pending(&ada, 9, 7500), []);

        // Back, and off the register with a farewell.
        enrol(
            &mut ada,
            &[enrolled(ADA), enrolled(BOB)],
            at(3000),
            at(3000),
        );
        assert_eq!(pending(&ada, 9, 7999), [id(BOB)]);
        let farewell = Beat {
            is_last: true,
            ..bobs(4, 3, None)
        };
        ada.hear(&farewell, at(3100));
        assert_eq!(pending(&ada, 9, 0), []);
    }

    #[test]
    fn what_is_said_through_the_ledger_counts_as_well() {
        let (mut ada, view) = (roster(), view(3));
        let report = |number, is_deaf| Registered {
            report: Some(Report {
                number: BeatNumber::new(number),
                reached: position(3),
                is_deaf,
            }),
            ..enrolled(BOB)
        };
        enrol(&mut ada, &[report(1, true)], at(2000), at(2000));
        assert_eq!(ada.pending(LogNumber::new(3), &view, at(0)), []);
        assert_eq!(ada.silent(at(1000)), []);
        assert!(ada.somebody_is_deaf());
        enrol(&mut ada, &[report(1, true)], at(3000), at(3000));
        assert!(!ada.somebody_is_deaf(), "it was said before");
        enrol(&mut ada, &[report(2, false)], at(4000), at(4000));
        assert!(!ada.somebody_is_deaf());
    }
}
