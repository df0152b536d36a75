//! The revocation log for other services, as it grows. What the view takes in is written
//! once, whatever the number of streams, and they share it; what a stream has missed, it
//! reads from the ledger. So an entry takes as long to reach a stream as it takes to reach
//! the view, and a slow reader keeps nothing waiting, not even memory.

mod event;
mod pages;
mod stream;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_web::web::Bytes;
use arc_swap::ArcSwapOption;
use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::ending::Ending;
use crate::config;
use crate::domain::credential::ServiceCredential;
use crate::domain::revocation::{Head, Position};
use crate::sessions::{Extract, Sessions};
use crate::store::Unavailable;
use crate::telemetry::metrics::{REVOCATION_STREAMS, Reading};

pub(super) use event::RevocationsBody;
pub(super) use stream::Opened;

use event::Batch;
use pages::Pages;

/// Between two heads of a stream.
const BEAT: Duration = Duration::from_secs(1);

/// Streams get their heads in turn, so that an entry waits for few of them.
const GROUPS: u32 = 10;

/// How many entries are written in one piece, which is about 16 KiB.
const AT_ONCE: u16 = 100;

/// How many pieces a stream can leave unread.
const KEPT: usize = 64;

/// How many can ask the ledger at once: checks need it, too.
const READS: usize = 4;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Feed(Arc<Inner>);

struct Inner {
    credentials: Vec<ServiceCredential>,
    sessions: Arc<Sessions>,
    ending: Ending,
    reads: Semaphore,
    /// None while there is nothing to hear: the log has been set back, or the service
    /// ends.
    era: ArcSwapOption<Era>,
}

/// While the log is one and the same. The streams of it end when it is dropped.
struct Era {
    groups: Vec<Sender<News>>,
    joined: AtomicUsize,
    pages: Arc<Pages>,
}

/// What streams hear.
#[derive(Clone)]
enum News {
    Entries(Arc<Batch>),
    /// Up to here, there is nothing else.
    Head(Head, Bytes),
}

impl Feed {
    /// Must be called on the runtime that outlives all callers: what streams hear is
    /// written there.
    pub(super) fn start(
        sessions: &Arc<Sessions>,
        ending: &Ending,
        settings: &config::Revocations,
    ) -> Self {
        let inner = Arc::new(Inner {
            credentials: settings.credentials.clone(),
            sessions: Arc::clone(sessions),
            ending: ending.clone(),
            reads: Semaphore::new(READS),
            era: ArcSwapOption::empty(),
        });
        if !inner.credentials.is_empty() {
            let (news, told) = (sessions.news(), inner.begin_anew());
            tokio::spawn(follow(
                Arc::downgrade(&inner),
                told,
                news,
                ending.announced(),
            ));
        }
        Self(inner)
    }

    /// Whether that is what one of the services shows.
    pub(super) fn knows(&self, shown: &[u8]) -> bool {
        // All are compared, so that the time does not tell which one it was.
        let known = self.0.credentials.iter().filter(|one| one.is(shown));
        known.count() > 0
    }

    /// A part of the log; `None` if the log does not have that position.
    pub(super) async fn read(
        &self,
        after: Option<Position>,
        limit: u16,
    ) -> Result<Option<Extract>, Unavailable> {
        self.0.read(after, limit).await
    }

    pub(super) fn readings(&self) -> Vec<Reading> {
        let era = self.0.era.load();
        let streams = era.as_ref().map_or(0, |era| era.streams());
        vec![REVOCATION_STREAMS.shows((), streams)]
    }

    fn join(&self) -> Option<(Receiver<News>, Arc<Pages>)> {
        let era = self.0.era.load();
        era.as_ref().map(|era| (era.join(), Arc::clone(&era.pages)))
    }
}

/// Tells the streams what the view takes in and, group by group, how far it vouches.
async fn follow(
    feed: Weak<Inner>,
    mut told: Option<Told>,
    mut news: watch::Receiver<()>,
    end: impl Future<Output = ()>,
) {
    let mut beats = interval(BEAT / GROUPS);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut end = std::pin::pin!(end);
    loop {
        let is_beat = tokio::select! {
            () = &mut end => break,
            changed = news.changed() => match changed {
                Ok(()) => false,
                Err(_) => break,
            },
            _ = beats.tick() => true,
        };
        let Some(feed) = feed.upgrade() else { return };
        let goes_on = told.take().and_then(|told| told.go_on(&feed));
        told = goes_on.or_else(|| feed.begin_anew());
        if is_beat && let Some(told) = &mut told {
            told.vouch(&feed);
        }
    }
    if let Some(feed) = feed.upgrade() {
        feed.era.store(None);
    }
}

impl Inner {
    async fn read(
        &self,
        after: Option<Position>,
        limit: u16,
    ) -> Result<Option<Extract>, Unavailable> {
        let _turn = self.reads.acquire().await;
        self.sessions.read_log(after, limit).await
    }

    /// Where that entry is, or the last minutes begin.
    async fn look_up(&self, after: Option<Position>) -> Result<Option<Head>, Unavailable> {
        let extract = self.read(after, 0).await?;
        Ok(extract.map(|extract| extract.after))
    }

    /// The streams that there are end; others begin where the log stands, if it does.
    fn begin_anew(&self) -> Option<Told> {
        let told = self.sessions.head().map(|at| Told {
            era: Arc::new(Era::new()),
            at,
            beats: 0,
        });
        self.era
            .store(told.as_ref().map(|told| Arc::clone(&told.era)));
        told
    }

    /// Says that there was nothing else after that entry, if the view vouches for it.
    fn vouch_for(&self, at: Head) -> Option<Bytes> {
        let vouching = self.sessions.vouches().filter(|it| it.head == at)?;
        Some(event::head(&vouching, self.sessions.clock().now()))
    }
}

impl Era {
    fn new() -> Self {
        Self {
            groups: (0..GROUPS).map(|_| channel(KEPT).0).collect(),
            joined: AtomicUsize::new(0),
            pages: Arc::new(Pages::new()),
        }
    }

    fn join(&self) -> Receiver<News> {
        let turn = self.joined.fetch_add(1, Ordering::Relaxed);
        self.groups[turn % self.groups.len()].subscribe()
    }

    fn streams(&self) -> usize {
        self.groups.iter().map(Sender::receiver_count).sum()
    }
}

/// How far the streams have been told.
struct Told {
    era: Arc<Era>,
    at: Head,
    beats: usize,
}

impl Told {
    /// Tells what the view has taken in since. `None` if the log is not the one it was.
    fn go_on(mut self, feed: &Inner) -> Option<Self> {
        loop {
            let entries = feed.sessions.latest_after(self.at, AT_ONCE.into())?;
            let Some(batch) = Batch::new(self.at, &entries) else {
                return Some(self);
            };
            self.at = batch.last;
            let news = News::Entries(Arc::new(batch));
            for group in &self.era.groups {
                let _ = group.send(news.clone());
            }
        }
    }

    /// Tells the next group that there was nothing else.
    fn vouch(&mut self, feed: &Inner) {
        self.beats += 1;
        let group = &self.era.groups[self.beats % self.era.groups.len()];
        if let Some(event) = feed.vouch_for(self.at) {
            let _ = group.send(News::Head(self.at, event));
        }
    }
}
