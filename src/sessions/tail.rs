//! Follows the revocation log: keeps the view, and knows until when it may be
//! relied on.
//!
//! A poll confirms the view when one statement saw the log's head, the entry the
//! view stands at with the mark this instance knows, and everything in between,
//! on a server that is not in recovery. The confirmation counts from before the
//! statement was sent.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Notify, watch};

use super::Policy;
use super::clock::{Clock, Uptime};
use crate::domain::revocation::{Appended, Entry, Head, LogNumber};
use crate::domain::session::Record;
use crate::domain::time::Timestamp;
use crate::domain::verdict::{self, Source, Verdict};
use crate::domain::view::{Gap, View};
use crate::store::Unavailable;
use crate::store::ledger::{Ledger, LogPage, LogReader};

const NEVER: i64 = i64::MIN;

/// How many entries the view takes in while checks wait for it.
const AT_ONCE: usize = 100;

/// How long a revocation waits for the view of its own instance.
const CATCH_UP: Duration = Duration::from_secs(1);

pub(super) struct Tail {
    shared: Arc<Shared>,
    nudge: Arc<Notify>,
    reached: watch::Receiver<LogNumber>,
    lease: Duration,
}

struct Shared {
    view: RwLock<View>,
    view_capacity: usize,
    clock: Clock,
    /// When the poll that last confirmed the view was sent, in milliseconds of uptime.
    confirmed_at: AtomicI64,
    reached: watch::Sender<LogNumber>,
}

impl Tail {
    pub(super) async fn start(
        ledger: &Ledger,
        clock: &Clock,
        policy: &Policy,
    ) -> anyhow::Result<Self> {
        let asked_at = Uptime::now();
        let mut reader = ledger.log_reader().await?;
        let page = reader.read(None).await?;
        clock.follow(page.now, asked_at);
        let (sender, receiver) = watch::channel(page.head.number);
        let shared = Arc::new(Shared {
            view: RwLock::new(View::starting_at(page.head, policy.view_capacity)),
            view_capacity: policy.view_capacity,
            clock: clock.clone(),
            confirmed_at: AtomicI64::new(NEVER),
            reached: sender,
        });
        if !page.in_recovery {
            shared.confirm(asked_at);
        }
        let nudge = Arc::new(Notify::new());
        follow_forever(
            Arc::downgrade(&shared),
            Arc::clone(&nudge),
            ledger.clone(),
            policy.poll_interval,
        )?;
        Ok(Self {
            shared,
            nudge,
            reached: receiver,
            lease: policy.lease,
        })
    }

    /// Whether copies may be believed.
    pub(super) fn is_fresh(&self) -> bool {
        let confirmed_at = self.shared.confirmed_at.load(Ordering::Acquire);
        confirmed_at != NEVER && Uptime::now().since(Uptime::from_millis(confirmed_at)) < self.lease
    }

    pub(super) fn verdict(&self, record: &Record, source: Source, now: Timestamp) -> Verdict {
        verdict::verdict(record, source, &self.shared.view(), now)
    }

    /// Takes in what this instance has just appended to the log. If that does not
    /// follow what the view knows, waits for the poll to bring everything; in vain
    /// only while the ledger is silent, and then the lease ends.
    pub(super) async fn take_in(&self, appended: &Appended) {
        let Some(last) = appended.entries.last() else {
            return;
        };
        if self.shared.follow(appended) == Err(Gap) {
            self.nudge.notify_one();
            let mut reached = self.reached.clone();
            let caught_up = reached.wait_for(|reached| *reached >= last.number);
            if tokio::time::timeout(CATCH_UP, caught_up).await.is_err() {
                tracing::warn!(number = %last.number, "the view lags behind this instance's own revocation");
            }
        }
    }
}

impl Shared {
    /// The one way to change the view: whoever waits for it hears of it.
    fn change<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut view);
        self.reached.send_replace(view.reached());
        outcome
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in entries just appended, a few at a time, each few only if the view
    /// still stands at the entry before them.
    fn follow(&self, appended: &Appended) -> Result<(), Gap> {
        let mut after = appended.after;
        for some in appended.entries.chunks(AT_ONCE) {
            self.change(|view| view.follow(after, some))?;
            after = some.last().map(|entry| entry.mark);
        }
        Ok(())
    }

    /// Takes in entries, a few at a time, so that no check waits long for the view.
    fn advance(&self, entries: &[Entry]) -> Result<(), Gap> {
        entries
            .chunks(AT_ONCE)
            .try_for_each(|some| self.change(|view| view.advance(some)))
    }

    fn confirm(&self, asked_at: Uptime) {
        self.confirmed_at
            .store(asked_at.as_millis(), Ordering::Release);
    }

    fn head(&self) -> Head {
        self.view().head()
    }

    /// Takes in what a poll brought that was sent at `asked_at`, when the view
    /// stood at `known`. `false` if the log has more than that.
    fn take_page(&self, page: &LogPage, known: Head, asked_at: Uptime) -> bool {
        self.clock.follow(page.now, asked_at);
        if page.in_recovery {
            return true;
        }
        if page.known_mark != Some(known.mark) {
            tracing::error!(
                known = %known.number,
                head = %page.head.number,
                "the revocation log is not the one it was; the view begins anew"
            );
            self.change(|view| *view = View::starting_at(page.head, self.view_capacity));
        } else if self.advance(&page.entries) == Err(Gap) {
            tracing::error!(known = %known.number, "the revocation log has a gap");
            return true;
        }
        let is_complete = self.head().number >= page.head.number;
        if is_complete {
            self.confirm(asked_at);
        }
        is_complete
    }
}

/// Polls on a thread and a connection of its own, so that neither busy workers
/// nor a drained pool can hold it up. Ends when the view is dropped.
fn follow_forever(
    shared: Weak<Shared>,
    nudge: Arc<Notify>,
    ledger: Ledger,
    poll_interval: Duration,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime for the log's poll")?;
    let follow = async move {
        let mut reader = None;
        loop {
            let Some(view) = shared.upgrade() else { break };
            let is_complete = match poll(&view, &mut reader, &ledger).await {
                Ok(is_complete) => is_complete,
                Err(error) => {
                    tracing::warn!(%error, "the poll of the revocation log failed");
                    true
                }
            };
            drop(view);
            if is_complete {
                let _ = tokio::time::timeout(poll_interval, nudge.notified()).await;
            }
        }
    };
    std::thread::Builder::new()
        .name("log-tail".to_owned())
        .spawn(move || runtime.block_on(follow))
        .context("no thread for the log's poll")?;
    Ok(())
}

async fn poll(
    shared: &Shared,
    reader: &mut Option<LogReader>,
    ledger: &Ledger,
) -> Result<bool, Unavailable> {
    let mut connected = match reader.take() {
        Some(reader) => reader,
        None => ledger.log_reader().await?,
    };
    let known = shared.head();
    let asked_at = Uptime::now();
    let page = connected.read(Some(known.number)).await?;
    *reader = Some(connected);
    Ok(shared.take_page(&page, known, asked_at))
}
