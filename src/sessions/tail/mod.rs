//! Follows the revocation log: keeps the view, and knows until when it may be
//! relied on.
//!
//! Push is the accelerator, poll is the guarantee. A *push* from the instance that
//! has revoked moves the view on within milliseconds ([`talk`]). A *poll* of the
//! ledger brings whatever push has not, and it alone confirms the view ([`poll`]).
//! Confirmed, the view is believed for the *lease*. If the ledger falls silent, the
//! heartbeats of the others can stretch that, up to the *grace*, as long as they
//! prove that nobody has revoked what this view does not know.

mod arrival;
mod feed;
mod poll;
mod readings;
mod set_back;
mod talk;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Notify, watch};

use super::Policy;
use super::clock::Clock;
use crate::clocks::uptime;
use crate::domain::belief::{Belief, Limits};
use crate::domain::instance::InstanceId;
use crate::domain::revocation::{Appended, Entry, Head, LogNumber, Revocation, Vouched};
use crate::domain::roster::Roster;
use crate::domain::session::Record;
use crate::domain::time::{Timestamp, Uptime};
use crate::domain::verdict::{self, FoundIn, Verdict};
use crate::domain::view::{Gap, View};
use crate::entropy;
use crate::store::bus::{Bus, Signal};
use crate::store::ledger::Ledger;
use crate::telemetry::metrics::{Arrival, FALLBACKS, Fallback, REVOCATIONS, RevocationKind};

use arrival::Arrived;

/// How many entries the view takes in while checks wait for it.
const AT_ONCE: usize = 100;

/// How long a revocation waits for the view of its own instance.
const CATCH_UP: Duration = Duration::from_secs(1);

/// How long the end of the process waits for the last poll.
const LAST_POLL: Duration = Duration::from_secs(2);

/// How often somebody who waits for the others has the ledger asked.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Whether what has been ended is refused by all instances.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    Everywhere,
    /// These have not said so yet.
    Pending(Vec<InstanceId>),
}

pub(super) struct Tail {
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    poll_interval: Duration,
    view_capacity: usize,
    /// How many entries the view keeps as they came.
    kept_latest: usize,
    clock: Clock,
    bus: Option<Arc<Bus>>,
    view: RwLock<View>,
    roster: Mutex<Roster>,
    belief: Mutex<Belief>,
    /// Since when all beats are heard.
    listens_since: Mutex<Option<Uptime>>,
    /// When and of where this instance last spoke through the ledger.
    last_report: Mutex<Option<(Uptime, LogNumber)>>,
    /// Until when the view is believed, in milliseconds of uptime.
    believed_until: AtomicU64,
    /// The log has been set back: nobody knows what to believe before the view is
    /// read anew.
    is_void: AtomicBool,
    /// How often the view began anew, or was found to be right after all.
    era: AtomicU64,
    reached: AtomicU64,
    /// Of the latest entry that no poll has brought.
    arrived: Mutex<Option<Arrived>>,
    /// How far this instance itself has brought the log.
    appended: AtomicU64,
    has_left: AtomicBool,
    polls_have_ended: AtomicBool,
    /// Whether Redis takes what this instance says.
    redis_accepts: AtomicBool,
    /// Changes whenever the view or the roster do.
    news: watch::Sender<()>,
    poll_now: Arc<Notify>,
    beat_now: Arc<Notify>,
}

impl Tail {
    pub(super) async fn start(
        ledger: &Ledger,
        clock: &Clock,
        policy: &Policy,
        bus: Option<Bus>,
    ) -> anyhow::Result<Self> {
        let own = InstanceId::new(clock.now(), entropy::random());
        let started = Self::enrolled(own, ledger, clock, policy, bus).await;
        if started.is_err() {
            // Best effort: who is not registered is not waited for.
            let _ = ledger.leave(own).await;
        }
        started
    }

    async fn enrolled(
        own: InstanceId,
        ledger: &Ledger,
        clock: &Clock,
        policy: &Policy,
        bus: Option<Bus>,
    ) -> anyhow::Result<Self> {
        let mut reader = ledger.log_reader().await?;
        reader.enrol(own).await?;
        let page = reader.read(None).await?;
        let kept_latest = if policy.serves_feed { feed::KEPT } else { 0 };
        let view = View::starting_at(page.head, policy.view_capacity).keeping_latest(kept_latest);
        let shared = Arc::new(Shared {
            limits: Limits {
                lease: policy.lease,
                grace: policy.ledger_grace,
            },
            poll_interval: policy.poll_interval,
            view_capacity: policy.view_capacity,
            kept_latest,
            clock: clock.clone(),
            bus: bus.map(Arc::new),
            reached: AtomicU64::new(view.reached().get()),
            arrived: Mutex::default(),
            view: RwLock::new(view),
            roster: Mutex::new(Roster::new(own)),
            belief: Mutex::default(),
            listens_since: Mutex::default(),
            last_report: Mutex::default(),
            believed_until: AtomicU64::new(0),
            is_void: AtomicBool::new(false),
            era: AtomicU64::new(0),
            appended: AtomicU64::new(0),
            has_left: AtomicBool::new(false),
            polls_have_ended: AtomicBool::new(false),
            redis_accepts: AtomicBool::new(true),
            news: watch::channel(()).0,
            poll_now: Arc::default(),
            beat_now: Arc::default(),
        });
        // Of this runtime: the thread that follows the log has its own.
        let mut reader = Some(reader);
        poll::poll(&shared, &mut reader, ledger).await?;
        spawn(&shared, ledger.clone())?;
        Ok(Self { shared })
    }

    pub(super) fn instance(&self) -> InstanceId {
        self.shared.roster().own()
    }

    /// Whether copies may be believed.
    pub(super) fn is_fresh(&self) -> bool {
        self.shared.is_fresh()
    }

    pub(super) fn stands_at(&self) -> Vouched {
        self.shared.view().stands_at()
    }

    /// Has the ledger asked now.
    pub(super) fn ask(&self) {
        self.shared.poll_now.notify_one();
    }

    /// Whether nobody knows what to believe: the log has been set back.
    pub(super) fn is_void(&self) -> bool {
        self.shared.is_void.load(Ordering::Acquire)
    }

    /// Differs before and after the log was void: what was read in between counts for
    /// neither.
    pub(super) fn era(&self) -> u64 {
        self.shared.era.load(Ordering::Acquire)
    }

    pub(super) fn verdict(&self, record: &Record, found_in: FoundIn, now: Timestamp) -> Verdict {
        let view = self.shared.view();
        if self.is_void() {
            return Verdict::Stale;
        }
        verdict::verdict(record, found_in, &view, now)
    }

    /// Takes in what this instance has just appended to the log. If it does not follow what
    /// the view knows, waits for the poll to bring everything; until then, no copy is believed.
    pub(super) async fn take_in(&self, appended: &Appended) {
        let Some(last) = appended.entries.last() else {
            return;
        };
        for kind in appended.entries.iter().filter_map(kind_of) {
            REVOCATIONS.count(kind);
        }
        let shared = &self.shared;
        shared
            .appended
            .fetch_max(last.number.get(), Ordering::AcqRel);
        if shared.follow(appended, Arrival::Own).is_ok() {
            shared.change(View::confirm);
        } else {
            shared.poll_now.notify_one();
            let caught_up = self.until(|shared| shared.reached() >= last.number);
            if tokio::time::timeout(CATCH_UP, caught_up).await.is_err() {
                tracing::warn!(number = %last.number, "the view lags behind this instance's own revocation");
            }
        }
    }

    /// Has the others take in what this instance has just appended. The poll does so
    /// as well, later.
    pub(super) async fn tell(&self, appended: Appended) {
        if let Some(bus) = &self.shared.bus
            && !appended.entries.is_empty()
        {
            let push = self.shared.roster().push(appended);
            if let Err(error) = bus.tell(&Signal::Push(push)).await {
                FALLBACKS.count(Fallback::PushLost);
                tracing::debug!(%error, "a revocation was not pushed: the others poll it");
            }
        }
    }

    /// Waits until all instances refuse what this one refuses by now.
    pub(super) async fn effect(&self, patience: Duration) -> Effect {
        let shared = &self.shared;
        let (since, number) = (uptime(), shared.reached().max(shared.own_appended()));
        let everywhere = async {
            loop {
                shared.poll_now.notify_one();
                let heard = self.until(|shared| {
                    shared.has_polled_since(since) && shared.pending(number).is_empty()
                });
                if tokio::time::timeout(ASK_AGAIN, heard).await.is_ok() {
                    break;
                }
            }
        };
        if tokio::time::timeout(patience, everywhere).await.is_ok() {
            return Effect::Everywhere;
        }
        let pending = shared.pending(number);
        // The ledger cannot be asked who else there is.
        let nobody_knows = pending.is_empty().then(|| shared.roster().own());
        Effect::Pending(pending.into_iter().chain(nobody_knows).collect())
    }

    /// Accepts nothing any more, and takes leave of the others.
    pub(super) async fn leave(&self, ledger: &Ledger) {
        let shared = &self.shared;
        shared.has_left.store(true, Ordering::Release);
        shared.judge();
        // A poll under way might enrol again.
        shared.poll_now.notify_one();
        let polls_end = self.until(|shared| shared.polls_have_ended.load(Ordering::Acquire));
        if tokio::time::timeout(LAST_POLL, polls_end).await.is_err() {
            tracing::warn!("the last poll of the revocation log does not end");
        }
        if let Some(bus) = &shared.bus
            && let Some(last) = shared.next_beat(true)
        {
            let _ = bus.tell(&Signal::Beat(last)).await;
        }
        let own = shared.roster().own();
        if let Err(error) = ledger.leave(own).await {
            tracing::warn!(%error, "this instance stays registered until it is missed");
        }
    }

    async fn until(&self, is_so: impl Fn(&Shared) -> bool) {
        let mut news = self.shared.news.subscribe();
        while !is_so(&self.shared) {
            if news.changed().await.is_err() {
                break;
            }
        }
    }
}

/// On a thread of its own, so that busy workers cannot hold it up. Ends when the
/// tail is dropped.
fn spawn(shared: &Arc<Shared>, ledger: Ledger) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime to follow the log")?;
    let (polls, beats, listens) = (
        poll::forever(shared, ledger),
        talk::beat_forever(shared),
        talk::listen_forever(shared),
    );
    std::thread::Builder::new()
        .name("log-tail".to_owned())
        .spawn(move || runtime.block_on(async { tokio::join!(polls, beats, listens) }))
        .context("no thread to follow the log")?;
    Ok(())
}

impl Shared {
    /// The one way to change the view: whoever waits for it hears of it.
    fn change<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut view);
        self.reached.store(view.reached().get(), Ordering::Release);
        drop(view);
        self.news.send_replace(());
        outcome
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Taken after the belief's lock and before the view's, where more than one is.
    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn head(&self) -> Head {
        self.view().head()
    }

    fn reached(&self) -> LogNumber {
        LogNumber::new(self.reached.load(Ordering::Acquire))
    }

    fn own_appended(&self) -> LogNumber {
        LogNumber::new(self.appended.load(Ordering::Acquire))
    }

    /// Takes in entries just appended, a few at a time, each few only if the view
    /// still stands at the entry before them.
    fn follow(&self, appended: &Appended, by: Arrival) -> Result<(), Gap> {
        let mut after = appended.after;
        for some in appended.entries.chunks(AT_ONCE) {
            self.change(|view| view.follow(after, some))?;
            after = some.last().map(|entry| entry.mark);
        }
        self.note_arrival(appended, by);
        Ok(())
    }

    /// Takes in entries, a few at a time, so that no check waits long for the view.
    fn advance(&self, entries: &[Entry]) -> Result<(), Gap> {
        entries
            .chunks(AT_ONCE)
            .try_for_each(|some| self.change(|view| view.advance(some)))
    }

    fn is_fresh(&self) -> bool {
        !self.is_fresh_for(uptime()).is_zero()
    }

    fn is_fresh_for(&self, now: Uptime) -> Duration {
        let until = Duration::from_millis(self.believed_until.load(Ordering::Acquire));
        if self.lags() {
            return Duration::ZERO;
        }
        until.saturating_sub(now.since_start())
    }

    fn has_polled_since(&self, since: Uptime) -> bool {
        self.belief().is_confirmed_since(since)
    }

    fn pending(&self, number: LogNumber) -> Vec<InstanceId> {
        self.roster().pending(number, &self.view(), uptime())
    }

    fn belief(&self) -> MutexGuard<'_, Belief> {
        self.belief.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn believe(&self, change: impl FnOnce(&mut Belief)) {
        change(&mut self.belief());
        self.judge();
    }

    /// Works out until when the view is believed.
    fn judge(&self) {
        let belief = self.belief();
        let is_over = self.has_left.load(Ordering::Acquire) || self.is_void.load(Ordering::Acquire);
        let until = if is_over {
            None
        } else {
            belief.until(self.limits, &self.roster(), &self.view())
        };
        let millis = until.map_or(0, |until| until.since_start().as_millis());
        let millis = millis.try_into().unwrap_or(u64::MAX);
        self.believed_until.store(millis, Ordering::Release);
        drop(belief);
        self.news.send_replace(());
    }
}

const fn kind_of(entry: &Entry) -> Option<RevocationKind> {
    match entry.revocation {
        Revocation::SessionEnded(_) => Some(RevocationKind::SessionEnded),
        Revocation::UserEnded { .. } => Some(RevocationKind::UserEnded),
        Revocation::UserChanged(_) => Some(RevocationKind::UserChanged),
        Revocation::EveryoneEnded => Some(RevocationKind::EveryoneEnded),
        Revocation::Unknown => None,
    }
}
