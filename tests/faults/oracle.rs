//! Asks every instance all the time whose the sessions are, and judges every
//! answer. It knows of each session when its end was asked for, and when that was
//! answered; a test tells it what else to expect, and from when until when.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::header::COOKIE;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::deployment::{At, EVERYWHERE};
use crate::support::browser::COOKIE_NAME;

/// Any answer, whatever hangs (P7).
pub const ANSWER: Duration = Duration::from_secs(2);

/// How long an answer is waited for that a test allows to be late.
const PATIENCE: Duration = Duration::from_secs(15);

/// How many questions of one client may be without an answer at once: a slow one
/// does not keep the next from being asked.
const UNANSWERED: usize = 8;

/// A session that has been dead for so long is asked about that much less often.
const LONG_DEAD: Duration = Duration::from_secs(3);
const SELDOM: u32 = 10;

const NAP: Duration = Duration::from_millis(20);
const TOLERATED: Duration = Duration::from_millis(200);

/// How long before and after a wrong answer the timeline is shown.
const AROUND: Duration = Duration::from_secs(4);

pub struct Oracle {
    shared: Arc<Shared>,
    client: Client,
    clients: TaskTracker,
    addresses: [SocketAddr; 3],
    pace: Duration,
    /// The clients' own thread, so that they ask whatever the test does.
    runtime: Handle,
    over: watch::Sender<bool>,
}

struct Shared {
    began: Instant,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    sessions: Vec<Watched>,
    excuses: Vec<Excuse>,
    notes: Vec<(Instant, String)>,
    is_judged: bool,
}

/// A session that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watch(usize);

struct Watched {
    email: String,
    end: End,
    answers: Vec<Answer>,
    is_retired: bool,
}

#[derive(Clone, Copy)]
enum End {
    None,
    Asked(Instant),
    Answered {
        asked: Instant,
        answered: Instant,
        bounds: Bounds,
    },
}

/// How long after the answer each instance may still accept the session.
#[derive(Clone, Copy)]
pub struct Bounds([Duration; 3]);

impl Bounds {
    pub const fn all(bound: Duration) -> Self {
        Self([bound; 3])
    }

    pub const fn but(mut self, at: At, bound: Duration) -> Self {
        self.0[at as usize] = bound;
        self
    }
}

struct Answer {
    session: Watch,
    at: At,
    begun: Instant,
    ended: Instant,
    said: Said,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Alive,
    Refused,
    Unavailable,
    /// 200, and the name of somebody else.
    Another(String),
    Otherwise(u16),
    Nothing(String),
}

/// What a test allows an instance to do that it otherwise must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// To say that it cannot tell: 503.
    CannotTell,
    /// The same, but only of a session that was ended: of the living it has copies.
    CannotTellOfTheDead,
    /// To answer late, or not at all.
    Silence,
}

struct Excuse {
    at: At,
    leave: Leave,
    from: Instant,
    until: Option<Instant>,
}

impl Oracle {
    pub fn start(addresses: [SocketAddr; 3], pace: Duration) -> Self {
        let (over, mut watched) = watch::channel(false);
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name("oracle".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                let runtime = runtime.expect("a runtime");
                let _ = sender.send(runtime.handle().clone());
                // Dropped, it is over as well.
                runtime.block_on(async { while watched.changed().await.is_ok() {} });
            })
            .expect("a thread");
        let runtime: Handle = receiver.recv().expect("a runtime");
        let shared = Arc::new(Shared {
            began: Instant::now(),
            known: Mutex::default(),
        });
        runtime.spawn(watch_the_machine(Arc::clone(&shared)));
        Self {
            shared,
            client: Client::builder()
                .timeout(PATIENCE)
                // Before the server tires of it.
                .pool_idle_timeout(Duration::from_secs(2))
                .build()
                .expect("a client"),
            clients: TaskTracker::new(),
            addresses,
            pace,
            runtime,
            over,
        }
    }

    /// Begins to ask about a session, everywhere.
    pub fn watch(&self, email: &str, token: &str) -> Watch {
        let watch = {
            let mut known = self.shared.known();
            known.sessions.push(Watched {
                email: email.to_owned(),
                end: End::None,
                answers: Vec::new(),
                is_retired: false,
            });
            Watch(known.sessions.len() - 1)
        };
        for at in EVERYWHERE {
            let question = self.question(watch, at, token);
            let ask = ask(question.into(), self.pace, self.over.subscribe());
            self.clients.spawn_on(ask, &self.runtime);
        }
        watch
    }

    fn question(&self, session: Watch, at: At, token: &str) -> Question {
        Question {
            session,
            at,
            email: self.shared.known().sessions[session.0].email.clone(),
            url: format!("http://{}/api/sessions/whoami", self.addresses[at as usize]),
            cookie: format!("{COOKIE_NAME}={token}"),
            client: self.client.clone(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Asks once more than it would: there is a limit to how many questions a
    /// client has unanswered.
    pub fn ask_now(&self, watch: Watch, at: At, token: &str) {
        let question = self.question(watch, at, token);
        self.clients
            .spawn_on(async move { question.put().await }, &self.runtime);
    }

    /// Asks no more about a session; what was answered is judged all the same.
    pub fn retire(&self, watch: Watch) {
        self.shared.known().sessions[watch.0].is_retired = true;
    }

    /// Remembers what happens, for the timeline.
    pub fn note(&self, what: impl Into<String>) {
        self.shared
            .known()
            .notes
            .push((Instant::now(), what.into()));
    }

    /// From now on, the session may be refused.
    pub fn end_is_asked(&self, watch: Watch) {
        let mut known = self.shared.known();
        known.sessions[watch.0].end = End::Asked(Instant::now());
    }

    /// The end was answered: from that long after now on, it must be refused.
    pub fn end_is_answered(&self, watch: Watch, bounds: Bounds) {
        let mut known = self.shared.known();
        let end = &mut known.sessions[watch.0].end;
        let (End::Asked(asked) | End::Answered { asked, .. }) = *end else {
            panic!("nobody asked for it");
        };
        *end = End::Answered {
            asked,
            answered: Instant::now(),
            bounds,
        };
    }

    /// The end was asked for and nothing changed: it must have been accepted all
    /// the time.
    pub fn end_is_off(&self, watch: Watch) {
        self.shared.known().sessions[watch.0].end = End::None;
    }

    /// From now on, until [`Self::expect_all`], these may do that.
    pub fn allow(&self, instances: &[At], leave: Leave) {
        let from = Instant::now();
        let excuses = instances.iter().map(|&at| Excuse {
            at,
            leave,
            from,
            until: None,
        });
        self.shared.known().excuses.extend(excuses);
    }

    /// From now on, these must answer everything, and soon.
    pub fn expect_all(&self, instances: &[At]) {
        let now = Instant::now();
        for excuse in &mut self.shared.known().excuses {
            if instances.contains(&excuse.at) {
                excuse.until.get_or_insert(now);
            }
        }
    }

    /// How long after the answer the last question was put that an instance other
    /// than that one answered with 200.
    pub fn delay(&self, watch: Watch, but: At) -> Duration {
        let known = self.shared.known();
        let End::Answered { answered, .. } = known.sessions[watch.0].end else {
            panic!("it was not ended");
        };
        let answers = known.sessions[watch.0].answers.iter();
        let accepted = answers.filter(|answer| answer.at != but && answer.said == Said::Alive);
        let last = accepted.map(|answer| answer.begun).max();
        last.map_or(Duration::ZERO, |last| {
            last.saturating_duration_since(answered)
        })
    }

    /// Whether that instance, asked after that time, has answered so.
    pub fn has_said(&self, watch: Watch, at: At, since: Instant, status: u16) -> bool {
        let known = self.shared.known();
        let mut answers = known.sessions[watch.0].answers.iter().rev();
        answers.any(|answer| {
            answer.at == at && answer.begun >= since && answer.said.status() == Some(status)
        })
    }

    /// Asks no more, waits for the last answers, and fails if one was wrong.
    pub async fn judge(&self) {
        self.over.send_replace(true);
        self.clients.close();
        self.clients.wait().await;
        let mut known = self.shared.known();
        known.is_judged = true;
        let wrong: Vec<_> = known
            .answers()
            .filter_map(|answer| Some((answer, known.fault_of(answer)?)))
            .collect();
        println!("{} answers, {} wrong", known.answers().count(), wrong.len());
        if let Some((first, _)) = wrong.first() {
            let mut report = String::new();
            for (answer, fault) in wrong.iter().take(20) {
                let _ = writeln!(report, "{} {fault}", self.shared.line(answer));
            }
            let around = (first.begun.checked_sub(AROUND), first.ended + AROUND);
            let timeline = self.shared.timeline(&known, around);
            let count = wrong.len();
            drop(wrong);
            drop(known);
            panic!("{count} answers were wrong:\n{report}what happened then:\n{timeline}");
        }
        for session in &known.sessions {
            let expected = match session.end {
                End::Answered { .. } => Said::Refused,
                End::None => Said::Alive,
                End::Asked(_) => continue,
            };
            let is_heard = session.answers.iter().any(|answer| answer.said == expected);
            assert!(is_heard, "nothing was heard of {}", session.email);
        }
    }
}

impl Drop for Oracle {
    /// A test that failed by itself: what led there.
    fn drop(&mut self) {
        let known = self.shared.known();
        if std::thread::panicking() && !known.is_judged {
            let around = (Instant::now().checked_sub(3 * AROUND), Instant::now());
            println!("{}", self.shared.timeline(&known, around));
        }
    }
}

/// Notes when the machine itself is late, for whoever reads the timeline: what is
/// slow then need not be the service.
async fn watch_the_machine(shared: Arc<Shared>) {
    loop {
        let begun = Instant::now();
        tokio::time::sleep(NAP).await;
        let late = begun.elapsed().saturating_sub(NAP);
        if late > TOLERATED {
            let note = format!("the machine is busy: {late:?} late");
            shared.known().notes.push((begun, note));
        }
    }
}

/// What one client asks.
struct Question {
    session: Watch,
    at: At,
    email: String,
    url: String,
    cookie: String,
    client: Client,
    shared: Arc<Shared>,
}

async fn ask(question: Arc<Question>, pace: Duration, mut over: watch::Receiver<bool>) {
    let unanswered = TaskTracker::new();
    while !*over.borrow_and_update() && !question.is_retired() {
        if unanswered.len() < UNANSWERED {
            let question = Arc::clone(&question);
            unanswered.spawn(async move { question.put().await });
        }
        let pause = if question.is_about_the_dead() {
            pace * SELDOM
        } else {
            pace
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            changed = over.changed() => if changed.is_err() { return },
        }
    }
    unanswered.close();
    unanswered.wait().await;
}

impl Question {
    fn is_retired(&self) -> bool {
        self.shared.known().sessions[self.session.0].is_retired
    }

    fn is_about_the_dead(&self) -> bool {
        let end = self.shared.known().sessions[self.session.0].end;
        matches!(end, End::Answered { answered, .. } if answered.elapsed() > LONG_DEAD)
    }

    async fn put(&self) {
        let request = self.client.get(&self.url).header(COOKIE, &self.cookie);
        let begun = Instant::now();
        let said = match request.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                match response.text().await {
                    Ok(text) => self.understand(status, &text),
                    Err(error) => Said::nothing(&error),
                }
            }
            Err(error) => Said::nothing(&error),
        };
        let mut known = self.shared.known();
        known.sessions[self.session.0].answers.push(Answer {
            session: self.session,
            at: self.at,
            begun,
            ended: Instant::now(),
            said,
        });
    }

    fn understand(&self, status: u16, text: &str) -> Said {
        match status {
            200 => {
                let body: Value = serde_json::from_str(text).unwrap_or_default();
                if body["user"]["email"] == self.email.as_str() {
                    Said::Alive
                } else {
                    Said::Another(text.to_owned())
                }
            }
            401 => Said::Refused,
            503 => Said::Unavailable,
            other => Said::Otherwise(other),
        }
    }
}

impl Said {
    /// Because of what lies at the bottom of it.
    fn nothing(error: &reqwest::Error) -> Self {
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Self::Nothing(cause.to_string())
    }

    const fn status(&self) -> Option<u16> {
        match self {
            Self::Alive | Self::Another(_) => Some(200),
            Self::Refused => Some(401),
            Self::Unavailable => Some(503),
            Self::Otherwise(status) => Some(*status),
            Self::Nothing(_) => None,
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Another(text) => write!(f, "200 of somebody else, {text}"),
            Self::Nothing(error) => write!(f, "nothing, {error}"),
            other => write!(f, "{}", other.status().unwrap_or_default()),
        }
    }
}

impl Known {
    fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.sessions.iter().flat_map(|session| &session.answers)
    }

    /// What is wrong with the answer, if anything is.
    fn fault_of(&self, answer: &Answer) -> Option<String> {
        if answer.ended - answer.begun > ANSWER && !self.excuses(answer, Leave::Silence) {
            return Some("came late".to_owned());
        }
        let end = self.sessions[answer.session.0].end;
        match (&answer.said, end) {
            (
                Said::Alive,
                End::Answered {
                    answered, bounds, ..
                },
            ) => {
                let late = answer.begun.saturating_duration_since(answered);
                let bound = bounds.0[answer.at as usize];
                (late > bound).then(|| {
                    format!("was asked for {late:?} after the end was answered, promised {bound:?}")
                })
            }
            (Said::Refused, End::None) => Some("is wrong: the session lives".to_owned()),
            (Said::Refused, End::Asked(asked) | End::Answered { asked, .. }) => {
                (answer.ended < asked).then(|| "came before anybody asked for its end".to_owned())
            }
            (Said::Alive, End::None | End::Asked(_)) => None,
            (Said::Unavailable, End::Answered { asked, .. })
                if answer.ended >= asked && self.excuses(answer, Leave::CannotTellOfTheDead) =>
            {
                None
            }
            (Said::Unavailable, _) => (!self.excuses(answer, Leave::CannotTell))
                .then(|| "is not allowed here and now".to_owned()),
            (Said::Nothing(_), _) => (!self.excuses(answer, Leave::Silence))
                .then(|| "is not allowed here and now".to_owned()),
            // What came while it was frozen may have taken it too long to read.
            (Said::Otherwise(408), _) if self.excuses(answer, Leave::Silence) => None,
            (Said::Another(_) | Said::Otherwise(_), _) => Some("is never allowed".to_owned()),
        }
    }

    fn excuses(&self, answer: &Answer, leave: Leave) -> bool {
        self.excuses.iter().any(|excuse| {
            (excuse.at, excuse.leave) == (answer.at, leave)
                && excuse.from <= answer.ended
                && excuse.until.is_none_or(|until| answer.begun <= until)
        })
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn since_began(&self, then: Instant) -> String {
        let since = then.saturating_duration_since(self.began);
        format!("{:9.3} s", since.as_secs_f64())
    }

    fn line(&self, answer: &Answer) -> String {
        let Answer {
            session,
            at,
            begun,
            ended,
            said,
        } = answer;
        format!(
            "{} {at:?} about #{}, after {:?}: {said}",
            self.since_began(*begun),
            session.0,
            *ended - *begun
        )
    }

    /// What happened, and what was answered; the same answers in a row as one.
    fn timeline(&self, known: &Known, (from, until): (Option<Instant>, Instant)) -> String {
        let from = from.unwrap_or(self.began);
        let mut lines: Vec<(Instant, String)> = known.notes.clone();
        for (index, session) in known.sessions.iter().enumerate() {
            let who = format!("#{index} ({})", session.email);
            match session.end {
                End::None => {}
                End::Asked(asked) => lines.push((asked, format!("the end of {who} is asked for"))),
                End::Answered {
                    asked, answered, ..
                } => {
                    lines.push((asked, format!("the end of {who} is asked for")));
                    lines.push((answered, format!("the end of {who} is answered")));
                }
            }
        }
        let mut runs: BTreeMap<(Watch, At), Vec<&Answer>> = BTreeMap::new();
        for answer in known.answers() {
            if answer.ended >= from && answer.begun <= until {
                runs.entry((answer.session, answer.at))
                    .or_default()
                    .push(answer);
            }
        }
        for answers in runs.values_mut() {
            answers.sort_by_key(|answer| answer.begun);
            for run in answers.chunk_by(|one, next| one.said == next.said) {
                let slowest = run.iter().max_by_key(|answer| answer.ended - answer.begun);
                let (Some(first), Some(last), Some(slowest)) = (run.first(), run.last(), slowest)
                else {
                    continue;
                };
                let line = format!(
                    "{:?} about #{}: {} × {}, until {}, the slowest {:?}",
                    first.at,
                    first.session.0,
                    run.len(),
                    first.said,
                    self.since_began(last.begun).trim_start(),
                    slowest.ended - slowest.begun
                );
                lines.push((first.begun, line));
            }
        }
        lines.retain(|(then, _)| *then >= from && *then <= until);
        lines.sort();
        let mut text = String::new();
        for (then, line) in lines {
            let _ = writeln!(text, "{} {line}", self.since_began(then));
        }
        text
    }
}

/// What the oracle itself holds for right and wrong.
mod judgement {
    use super::{Answer, At, Bounds, End, Excuse, Known, Leave, Said, Watch, Watched};
    use std::time::{Duration, Instant};

    const BOUND: Duration = Duration::from_secs(1);

    struct Case {
        start: Instant,
        known: Known,
    }

    impl Case {
        /// A session whose end is asked for after 10 s and answered after 11 s.
        fn ended() -> Self {
            let start = Instant::now();
            Self::with(
                start,
                End::Answered {
                    asked: start + Duration::from_secs(10),
                    answered: start + Duration::from_secs(11),
                    bounds: Bounds::all(BOUND).but(At::C, 3 * BOUND),
                },
            )
        }

        fn living() -> Self {
            Self::with(Instant::now(), End::None)
        }

        fn with(start: Instant, end: End) -> Self {
            let mut known = Known::default();
            known.sessions.push(Watched {
                email: "ada@example.com".to_owned(),
                end,
                answers: Vec::new(),
                is_retired: false,
            });
            Self { start, known }
        }

        /// From 20 s to 30 s.
        fn excused(mut self, leave: Leave) -> Self {
            self.known.excuses.push(Excuse {
                at: At::A,
                leave,
                from: self.start + Duration::from_secs(20),
                until: Some(self.start + Duration::from_secs(30)),
            });
            self
        }

        fn is_wrong(&self, at: At, said: Said, begun: f64, ended: f64) -> bool {
            let then = |seconds| self.start + Duration::from_secs_f64(seconds);
            let answer = Answer {
                session: Watch(0),
                at,
                begun: then(begun),
                ended: then(ended),
                said,
            };
            self.known.fault_of(&answer).is_some()
        }
    }

    #[test]
    fn the_dead_are_accepted_no_longer_than_promised() {
        let case = Case::ended();
        assert!(!case.is_wrong(At::A, Said::Alive, 11.9, 13.0));
        assert!(case.is_wrong(At::A, Said::Alive, 12.1, 12.2));
        assert!(!case.is_wrong(At::C, Said::Alive, 13.9, 14.0));
        assert!(case.is_wrong(At::C, Said::Alive, 14.1, 14.2));
    }

    #[test]
    fn the_living_are_never_refused() {
        assert!(Case::living().is_wrong(At::A, Said::Refused, 1.0, 1.1));
        assert!(Case::ended().is_wrong(At::A, Said::Refused, 9.8, 9.9));
        assert!(!Case::ended().is_wrong(At::A, Said::Refused, 9.8, 10.1));
    }

    #[test]
    fn nobody_is_taken_for_another_and_nothing_else_is_said() {
        let another = Said::Another("eve@example.com".to_owned());
        assert!(Case::living().is_wrong(At::A, another, 1.0, 1.1));
        assert!(Case::living().is_wrong(At::A, Said::Otherwise(500), 1.0, 1.1));
        assert!(!Case::living().is_wrong(At::A, Said::Alive, 1.0, 1.1));
        assert!(Case::living().is_wrong(At::A, Said::Alive, 1.0, 3.1));
    }

    #[test]
    fn what_is_allowed_is_so_there_and_then_alone() {
        let case = Case::living().excused(Leave::CannotTell);
        assert!(case.is_wrong(At::A, Said::Unavailable, 19.0, 19.9));
        assert!(!case.is_wrong(At::A, Said::Unavailable, 19.9, 20.1));
        assert!(!case.is_wrong(At::A, Said::Unavailable, 29.9, 30.9));
        assert!(case.is_wrong(At::A, Said::Unavailable, 30.1, 30.2));
        assert!(case.is_wrong(At::B, Said::Unavailable, 25.0, 25.1));
        assert!(case.is_wrong(At::A, Said::Nothing(String::new()), 25.0, 25.1));
        let case = Case::living().excused(Leave::Silence);
        assert!(!case.is_wrong(At::A, Said::Nothing(String::new()), 25.0, 29.0));
        assert!(!case.is_wrong(At::A, Said::Alive, 25.0, 29.0));
        assert!(case.is_wrong(At::A, Said::Unavailable, 25.0, 25.1));
    }

    #[test]
    fn of_the_living_there_are_copies() {
        let leave = Leave::CannotTellOfTheDead;
        let (living, ended) = (Case::living(), Case::ended());
        assert!(
            living
                .excused(leave)
                .is_wrong(At::A, Said::Unavailable, 25.0, 25.1)
        );
        assert!(
            !ended
                .excused(leave)
                .is_wrong(At::A, Said::Unavailable, 25.0, 25.1)
        );
    }
}
