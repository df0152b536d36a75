//! The world around the instances: a ledger, a Redis, and time.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use gatelodge::domain::belief::{Belief, Limits};
use gatelodge::domain::client::Client;
use gatelodge::domain::digest::TokenDigest;
use gatelodge::domain::email::Email;
use gatelodge::domain::id::{InstanceId, SessionId, UserId};
use gatelodge::domain::instance::{Beat, Push, Registered};
use gatelodge::domain::revocation::{Appended, Entry, Head, LogNumber, Mark, Revocation, Vouched};
use gatelodge::domain::roster::{Asked, Roster};
use gatelodge::domain::session::{Draft, Lifetime, Record, Session};
use gatelodge::domain::time::{Timestamp, Uptime};
use gatelodge::domain::user::{Role, Status, User, UserName};
use gatelodge::domain::verdict::{FoundIn, Verdict, verdict};
use gatelodge::domain::view::View;

pub const INSTANCES: usize = 3;
pub const USERS: usize = 3;
pub const LEASE: Duration = Duration::from_secs(5);
/// Not the same everywhere, as while the setting is being changed.
const fn limits(at: usize) -> Limits {
    Limits {
        lease: [LEASE, Duration::from_secs(4), Duration::from_secs(3)][at],
        grace: Duration::from_secs(20),
    }
}
/// Small, so that the window moves on.
const VIEW_CAPACITY: usize = 4;
/// Sessions expire in none of these worlds.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

#[derive(Clone, Debug)]
pub enum Step {
    LogIn {
        at: usize,
        user: usize,
    },
    Check {
        at: usize,
        session: usize,
        copy: usize,
    },
    /// Somebody reads a session from the ledger, and keeps the copy much later.
    BeginRead {
        session: usize,
    },
    FinishRead {
        read: usize,
    },
    End {
        at: usize,
        session: usize,
    },
    EndUser {
        at: usize,
        user: usize,
        spared: Option<usize>,
    },
    EndEveryone {
        at: usize,
    },
    Change {
        at: usize,
        user: usize,
    },
    BeginPoll {
        at: usize,
    },
    FinishPoll {
        at: usize,
    },
    /// A beat is made, and is sent whenever the network lets it.
    Beat {
        at: usize,
    },
    Send {
        at: usize,
    },
    Hear {
        at: usize,
    },
    /// Everybody beats, and hears all there is to hear.
    Exchange,
    Resubscribe {
        at: usize,
    },
    Ledger {
        at: usize,
        is_up: bool,
    },
    Redis {
        at: usize,
        is_up: bool,
    },
    /// `?wait=effective`, answered if it can be.
    Wait {
        at: usize,
    },
    StrikeOff {
        at: usize,
    },
    Pass {
        millis: u64,
    },
}

#[derive(Clone)]
enum Signal {
    Push(Push),
    Beat(Beat),
}

struct Instance {
    id: InstanceId,
    view: View,
    roster: Roster,
    belief: Belief,
    appended: LogNumber,
    has_ledger: bool,
    has_redis: bool,
    /// What is on its way to it, if it listens, and since when it does.
    inbox: VecDeque<Signal>,
    outbox: VecDeque<Beat>,
    listens_since: Option<Uptime>,
    poll: Option<Poll>,
    struck_off_at: Option<Uptime>,
}

/// What a poll saw that has not come back yet.
struct Poll {
    asked: Asked,
    length: usize,
    roll: Vec<(InstanceId, Option<Uptime>)>,
}

struct Truth {
    session: Session,
    ended: Option<Ended>,
}

#[derive(Clone, Copy)]
struct Ended {
    at: Uptime,
    by: LogNumber,
}

pub struct World {
    now: Uptime,
    log: Vec<Entry>,
    sessions: Vec<Truth>,
    names: [usize; USERS],
    /// All copies that there have ever been. Any of them may be in the local cache of
    /// any instance.
    copies: HashMap<SessionId, Vec<Record>>,
    reads: Vec<Record>,
    instances: Vec<Instance>,
    /// Up to which number revocations were said to be effective.
    effective: LogNumber,
}

fn user_id(user: usize) -> UserId {
    UserId::new(NOW, [u8::try_from(user).unwrap(); 10])
}

fn mark(number: usize) -> Mark {
    Mark(u128::try_from(number).unwrap().to_le_bytes())
}

impl World {
    pub fn new() -> Self {
        let origin = Entry {
            number: LogNumber::default(),
            mark: mark(0),
            revocation: Revocation::Unknown,
        };
        let now = Uptime::from_start(Duration::from_mins(1));
        let instance = |n: usize| {
            let id = InstanceId::new(NOW, [u8::try_from(n).unwrap(); 10]);
            let head = Head {
                number: origin.number,
                mark: origin.mark,
            };
            Instance {
                id,
                view: View::starting_at(head, VIEW_CAPACITY),
                roster: Roster::new(id),
                belief: Belief::default(),
                appended: LogNumber::default(),
                has_ledger: true,
                has_redis: true,
                inbox: VecDeque::new(),
                outbox: VecDeque::new(),
                listens_since: Some(now),
                poll: None,
                struck_off_at: None,
            }
        };
        Self {
            now,
            log: vec![origin],
            sessions: Vec::new(),
            names: [0; USERS],
            copies: HashMap::new(),
            reads: Vec::new(),
            instances: (0..INSTANCES).map(instance).collect(),
            effective: LogNumber::default(),
        }
    }

    /// Takes the step, if it can be taken; says of a check whether the session was
    /// accepted, and nothing if nobody could tell.
    pub fn take(&mut self, step: &Step) -> Option<bool> {
        match step {
            Step::LogIn { at, user } => self.log_in(*at, *user),
            Step::Check { at, session, copy } => return self.check(*at, *session, *copy),
            Step::BeginRead { session } => {
                let read = self.any(*session).and_then(|n| self.read(n));
                self.reads.extend(read);
            }
            Step::FinishRead { read } => {
                if !self.reads.is_empty() {
                    let record = self.reads.swap_remove(read % self.reads.len());
                    self.keep(record);
                }
            }
            Step::End { at, session } => {
                if let Some(n) = self.any(*session)
                    && self.sessions[n].ended.is_none()
                {
                    let id = self.sessions[n].session.id;
                    self.append(*at, Revocation::SessionEnded(id));
                }
            }
            Step::EndUser { at, user, spared } => {
                let user = user_id(*user);
                let spared = spared.and_then(|session| self.any(session));
                let spared = spared
                    .map(|n| &self.sessions[n])
                    .filter(|truth| truth.session.user_id == user && truth.ended.is_none());
                let spared = spared.map(|truth| truth.session.id);
                self.append(*at, Revocation::UserEnded { user, spared });
            }
            Step::EndEveryone { at } => self.append(*at, Revocation::EveryoneEnded),
            Step::Change { at, user } => {
                if self.instances[*at].has_ledger {
                    self.names[*user] += 1;
                    self.append(*at, Revocation::UserChanged(user_id(*user)));
                }
            }
            Step::BeginPoll { at } => self.begin_poll(*at),
            Step::FinishPoll { at } => self.finish_poll(*at),
            Step::Beat { at } => self.beat(*at),
            Step::Send { at } => self.send(*at),
            Step::Hear { at } => self.hear(*at),
            Step::Exchange => {
                for at in 0..INSTANCES {
                    self.beat(at);
                    while !self.instances[at].outbox.is_empty() {
                        self.send(at);
                    }
                }
                for at in 0..INSTANCES {
                    while !self.instances[at].inbox.is_empty() {
                        self.hear(at);
                    }
                }
            }
            Step::Resubscribe { at } => self.resubscribe(*at),
            Step::Ledger { at, is_up } => self.instances[*at].has_ledger = *is_up,
            Step::Redis { at, is_up } => {
                self.instances[*at].has_redis = *is_up;
                self.resubscribe(*at);
            }
            Step::Wait { at } => self.wait(*at),
            Step::StrikeOff { at } => self.strike_off(*at),
            Step::Pass { millis } => self.now = self.now + Duration::from_millis(*millis),
        }
        None
    }

    fn any(&self, session: usize) -> Option<usize> {
        (!self.sessions.is_empty()).then(|| session % self.sessions.len())
    }

    fn vouched(&self) -> Vouched {
        let head = self.log.last().unwrap();
        Vouched {
            number: head.number,
            mark: head.mark.prefix(),
        }
    }

    fn log_in(&mut self, at: usize, user: usize) {
        if !self.instances[at].has_ledger {
            return;
        }
        let n = self.sessions.len();
        let mut entropy = [0; 10];
        entropy[..2].copy_from_slice(&u16::try_from(n).unwrap().to_be_bytes());
        let draft = Draft {
            id: SessionId::new(NOW, entropy),
            digest: TokenDigest::from_bytes([0; 32]),
            issued_at: NOW,
            lifetime: Lifetime {
                idle: Duration::from_hours(2),
                absolute: Duration::from_hours(24),
            },
            remember_me: false,
            client: Client::default(),
        };
        let session = Session::from_draft(draft, user_id(user), self.vouched().number);
        self.sessions.push(Truth {
            session,
            ended: None,
        });
        if let Some(record) = self.read(n) {
            self.keep(record);
        }
    }

    /// What the ledger says of a session now.
    fn read(&self, n: usize) -> Option<Record> {
        let Truth { session, ended } = &self.sessions[n];
        let user = (0..USERS).find(|user| user_id(*user) == session.user_id)?;
        let user = User {
            id: session.user_id,
            email: Email::parse("ada@example.com").unwrap(),
            name: UserName::parse(&format!("Name {}", self.names[user])).unwrap(),
            role: Role::User,
            status: Status::Active,
            created_at: NOW,
        };
        let record = Record::new(session.clone(), user, self.vouched());
        ended.is_none().then_some(record)
    }

    fn keep(&mut self, record: Record) {
        let copies = self.copies.entry(record.session.id).or_default();
        copies.push(record);
    }

    /// As `Sessions::check` goes about it.
    fn check(&mut self, at: usize, session: usize, copy: usize) -> Option<bool> {
        let n = self.any(session)?;
        let id = self.sessions[n].session.id;
        let instance = &self.instances[at];
        let copies = self.copies.get(&id).filter(|copies| !copies.is_empty());
        let copy = copies.map(|copies| &copies[copy % copies.len()]);
        let is_believed = self.is_believed(at);
        if let Some(copy) = copy.filter(|_| is_believed) {
            match verdict(copy, FoundIn::Copy, &instance.view, NOW) {
                Verdict::Alive => return Some(self.accept(at, n, copy)),
                Verdict::Ended => return Some(self.refuse(n)),
                Verdict::Stale => {}
                Verdict::Idle | Verdict::Expired => panic!("it is neither"),
            }
        }
        if !instance.has_ledger {
            return None;
        }
        let Some(record) = self.read(n) else {
            return Some(self.refuse(n));
        };
        match verdict(&record, FoundIn::Ledger, &instance.view, NOW) {
            Verdict::Alive => Some(self.accept(at, n, &record)),
            Verdict::Ended => Some(self.refuse(n)),
            Verdict::Stale => None,
            Verdict::Idle | Verdict::Expired => panic!("it is neither"),
        }
    }

    fn accept(&self, at: usize, n: usize, record: &Record) -> bool {
        let truth = &self.sessions[n];
        assert_eq!(record.session.user_id, truth.session.user_id);
        if let Some(ended) = truth.ended {
            let since = self.now.since(ended.at);
            assert!(
                since < LEASE,
                "instance {at} accepts session {n}, {since:?} after it was ended"
            );
            assert!(
                ended.by > self.effective,
                "instance {at} accepts session {n}, whose end by {} was effective",
                ended.by
            );
        }
        true
    }

    fn refuse(&self, n: usize) -> bool {
        assert!(
            self.sessions[n].ended.is_some(),
            "session {n} is alive, and is called ended"
        );
        false
    }

    fn is_believed(&self, at: usize) -> bool {
        let instance = &self.instances[at];
        let until = instance
            .belief
            .until(limits(at), &instance.roster, &instance.view);
        until.is_some_and(|until| self.now < until) && instance.view.reached() >= instance.appended
    }

    /// Commits a revocation, takes it in, pushes it, and answers.
    fn append(&mut self, at: usize, revocation: Revocation) {
        if !self.instances[at].has_ledger {
            return;
        }
        // Now and then the transaction did not see what came before it.
        let saw_before = !self.log.len().is_multiple_of(3);
        let after = self.log.last().map(|entry| entry.mark);
        let after = after.filter(|_| saw_before);
        let number = self.log.last().unwrap().number.next();
        let entry = Entry {
            number,
            mark: mark(self.log.len()),
            revocation,
        };
        self.log.push(entry);
        let ended = Ended {
            at: self.now,
            by: number,
        };
        for truth in &mut self.sessions {
            let Session { id, user_id, .. } = truth.session;
            let is_ended = match revocation {
                Revocation::SessionEnded(session) => session == id,
                Revocation::UserEnded { user, spared } => user == user_id && spared != Some(id),
                Revocation::EveryoneEnded => true,
                Revocation::UserChanged(_) | Revocation::Unknown => false,
            };
            if is_ended {
                truth.ended.get_or_insert(ended);
            }
        }
        let appended = Appended {
            after,
            entries: vec![entry],
        };
        let instance = &mut self.instances[at];
        instance.appended = number;
        let _ = instance.view.follow(after, &appended.entries);
        let push = instance.roster.push(appended);
        self.tell(at, &Signal::Push(push));
    }

    fn tell(&mut self, from: usize, signal: &Signal) {
        if !self.instances[from].has_redis {
            return;
        }
        for instance in &mut self.instances {
            if instance.listens_since.is_some() {
                instance.inbox.push_back(signal.clone());
            }
        }
    }

    fn beat(&mut self, at: usize) {
        let (now, instance) = (self.now, &mut self.instances[at]);
        if instance.view.reached() < instance.appended {
            return;
        }
        let beat = instance.roster.beat(instance.view.stands_at(), false, now);
        instance.outbox.push_back(beat);
    }

    fn send(&mut self, at: usize) {
        if let Some(beat) = self.instances[at].outbox.pop_front() {
            self.tell(at, &Signal::Beat(beat));
        }
    }

    fn hear(&mut self, at: usize) {
        let (now, instance) = (self.now, &mut self.instances[at]);
        match instance.inbox.pop_front() {
            Some(Signal::Push(push)) if instance.roster.admits(&push) => {
                let Appended { after, entries } = push.appended;
                instance.roster.hear_of(entries[0].number);
                let _ = instance.view.follow(after, &entries);
            }
            Some(Signal::Beat(beat)) => instance.roster.hear(&beat, now),
            Some(Signal::Push(_)) | None => {}
        }
    }

    /// Loses what was on its way.
    fn resubscribe(&mut self, at: usize) {
        let (now, instance) = (self.now, &mut self.instances[at]);
        instance.inbox.clear();
        instance.roster.miss();
        instance.listens_since = instance.has_redis.then_some(now);
    }

    fn begin_poll(&mut self, at: usize) {
        if !self.instances[at].has_ledger {
            self.instances[at].poll = None;
            self.instances[at].belief.doubt();
            return;
        }
        let roll = self.instances.iter();
        let roll = roll.map(|one| (one.id, one.struck_off_at)).collect();
        let asked = self.instances[at].roster.ask(self.now);
        self.instances[at].poll = Some(Poll {
            asked,
            length: self.log.len(),
            roll,
        });
    }

    fn finish_poll(&mut self, at: usize) {
        let (now, instance) = (self.now, &mut self.instances[at]);
        let Some(poll) = instance.poll.take() else {
            return;
        };
        let seen = &self.log[..poll.length];
        let known = usize::try_from(instance.view.reached().get()).unwrap();
        // What push has brought meanwhile is passed over.
        instance
            .view
            .advance(seen.get(known + 1..).unwrap_or_default())
            .unwrap();
        let registered: Vec<_> = poll
            .roll
            .iter()
            .map(|(id, struck_off_at)| Registered {
                instance: *id,
                report: None,
                is_struck_off: struck_off_at.is_some(),
            })
            .collect();
        let own = registered.iter().find(|one| one.instance == instance.id);
        if own.unwrap().is_struck_off {
            instance.struck_off_at = None;
            return;
        }
        let asked_at = poll.asked.at();
        let has_heard_all = instance
            .listens_since
            .is_some_and(|since| since <= asked_at);
        instance
            .roster
            .enrol(&registered, has_heard_all, poll.asked, now);
        instance.belief.confirm(asked_at);
    }

    fn wait(&mut self, at: usize) {
        self.begin_poll(at);
        self.finish_poll(at);
        let instance = &self.instances[at];
        let number = instance.view.reached().max(instance.appended);
        let is_confirmed = instance.belief.is_confirmed_since(self.now);
        let pending = instance.roster.pending(number, &instance.view, self.now);
        if is_confirmed && pending.is_empty() {
            self.effective = self.effective.max(number);
        }
    }

    fn strike_off(&mut self, at: usize) {
        if !self.instances[at].has_ledger {
            return;
        }
        let since = self
            .now
            .since_start()
            .saturating_sub(Duration::from_secs(1));
        for silent in self.instances[at].roster.silent(Uptime::from_start(since)) {
            let now = self.now;
            let struck = self.instances.iter_mut().find(|one| one.id == silent);
            struck.unwrap().struck_off_at.get_or_insert(now);
        }
    }
}
