//! The poll of the ledger. It confirms the view when one statement saw the log's
//! head, the entry the view stands at with the mark this instance knows, and
//! everything in between, on a server that takes writes; and when this
//! instance is enrolled, so that whoever revokes waits for it. The confirmation
//! counts from before the statement was sent.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::anyhow;

use super::{Shared, set_back};
use crate::clocks::uptime;
use crate::domain::belief::Belief;
use crate::domain::instance::{InstanceId, Report};
use crate::domain::revocation::LogNumber;
use crate::domain::roster::Asked;
use crate::domain::time::Uptime;
use crate::domain::view::View;
use crate::store::Unavailable;
use crate::store::ledger::{Ledger, LogReader};

/// Between two polls, however many ask for one.
const PAUSE: Duration = Duration::from_millis(10);

/// An instance that misses so many polls is struck off.
const MISSED_POLLS: u32 = 4;

/// Whether the next poll may wait for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polled {
    Confirmed,
    /// There is more to read.
    Unfinished,
}

pub(super) fn forever(
    shared: &Arc<Shared>,
    ledger: Ledger,
) -> impl Future<Output = ()> + Send + use<> {
    let (poll_now, interval) = (Arc::clone(&shared.poll_now), shared.poll_interval);
    let shared = Arc::downgrade(shared);
    async move {
        let mut reader = None;
        while let Some(shared) = shared.upgrade() {
            if shared.has_left() {
                shared.polls_have_ended.store(true, Ordering::Release);
                shared.news.send_replace(());
                break;
            }
            let polled = poll(&shared, &mut reader, &ledger).await;
            if let Err(error) = &polled {
                shared.ledger_is_silent(error);
            }
            drop(shared);
            match polled {
                Ok(Polled::Unfinished) => {}
                Ok(Polled::Confirmed) => {
                    tokio::time::sleep(PAUSE).await;
                    let _ = tokio::time::timeout(interval, poll_now.notified()).await;
                }
                Err(_) => tokio::time::sleep(interval).await,
            }
        }
    }
}

/// Reads what is new. After a failure, the next one connects anew.
pub(super) async fn poll(
    shared: &Shared,
    reader: &mut Option<LogReader>,
    ledger: &Ledger,
) -> Result<Polled, Unavailable> {
    let mut connected = match reader.take().filter(|reader| !reader.is_old()) {
        Some(reader) => reader,
        None => ledger.log_reader().await?,
    };
    let (known, appended) = (shared.head(), shared.own_appended());
    let asked = shared.roster().ask(uptime());
    let page = connected.read(Some(known.number)).await?.of_a_writer()?;
    shared.clock.follow(page.now, asked.at());
    if page.known_mark != Some(known.mark) {
        set_back::begin_anew(shared, &mut connected, ledger, page.head).await?;
        *reader = Some(connected);
        return Ok(Polled::Unfinished);
    }
    if shared.is_void.swap(false, Ordering::AcqRel) {
        shared.era.fetch_add(1, Ordering::AcqRel);
        tracing::warn!("the revocation log is again the one it was");
    }
    if shared.advance(&page.entries).is_err() {
        return Err(Unavailable::task(anyhow!("the revocation log has a gap")));
    }
    shared.measure_arrivals(known.number, &page, asked.at());
    if !page.entries.is_empty() {
        shared.beat_now.notify_one();
    }
    let polled = if shared.reached() < page.head.number {
        Polled::Unfinished
    } else {
        if page.head.number < appended {
            shared.forget_appended(appended);
        }
        if shared.reached() == page.head.number {
            shared.change(View::confirm);
        }
        call_the_roll(shared, &mut connected, asked).await?
    };
    *reader = Some(connected);
    Ok(polled)
}

/// Hears who is registered, and has the others hear of this instance.
async fn call_the_roll(
    shared: &Shared,
    reader: &mut LogReader,
    asked: Asked,
) -> Result<Polled, Unavailable> {
    let registered = reader.registered().await?;
    let own = shared.roster().own();
    let is_enrolled = registered
        .iter()
        .any(|one| one.instance == own && !one.is_struck_off);
    if !is_enrolled {
        if shared.has_left() {
            return Ok(Polled::Confirmed);
        }
        tracing::warn!(instance = %own, "this instance was missed; it enrols again");
        reader.enrol(own).await?;
        return Ok(Polled::Unfinished);
    }
    if shared.belief().ledger_is_silent() {
        shared.roster().forgive(uptime());
    }
    let asked_at = asked.at();
    let has_heard_all = shared.listens_since(asked_at);
    shared
        .roster()
        .enrol(&registered, has_heard_all, asked, uptime());
    if let Some(report) = shared.report() {
        reader.report(own, report).await?;
    }
    let missed = shared.missed();
    if let Some(first) = missed.first() {
        tracing::warn!(instance = %first, number = missed.len(), "instances are missed: they have ended, are cut off, or have other secrets.keys");
        reader.strike_off(&missed).await?;
    }
    shared.ledger_answers(asked_at);
    Ok(Polled::Confirmed)
}

impl Shared {
    /// The log has lost what this instance had appended and not yet taken in.
    fn forget_appended(&self, number: LogNumber) {
        let forgotten =
            self.appended
                .compare_exchange(number.get(), 0, Ordering::AcqRel, Ordering::Acquire);
        if forgotten.is_ok() {
            tracing::error!(%number, "the ledger has lost a revocation that it had committed");
        }
    }

    fn ledger_answers(&self, asked_at: Uptime) {
        if self.belief().ledger_is_silent() {
            tracing::info!("the ledger answers again");
        }
        self.believe(|belief| belief.confirm(asked_at));
    }

    fn ledger_is_silent(&self, error: &Unavailable) {
        if !self.belief().ledger_is_silent() {
            tracing::warn!(%error, "the revocation log cannot be read");
        }
        self.believe(Belief::doubt);
    }

    /// What to say through the ledger: nothing, while the bus carries it and all
    /// hear it, or while it was said just now.
    fn report(&self) -> Option<Report> {
        let (is_deaf, now) = (!self.is_carried(), uptime());
        let mut roster = self.roster();
        let somebody_must_know = is_deaf || roster.somebody_is_deaf();
        if roster.is_alone(now) || !somebody_must_know {
            return None;
        }
        let reached = self.view().stands_at();
        let stands_at = reached.number;
        let last = self.last_report.lock();
        let mut last = last.unwrap_or_else(PoisonError::into_inner);
        let is_said = last
            .is_some_and(|(at, number)| number == stands_at && now.since(at) < self.poll_interval);
        if is_said || self.lags() {
            return None;
        }
        *last = Some((now, stands_at));
        let beat = roster.beat(reached, false, now);
        Some(Report {
            number: beat.number,
            reached: beat.reached,
            is_deaf,
        })
    }

    fn missed(&self) -> Vec<InstanceId> {
        let patience = self.poll_interval * MISSED_POLLS;
        let patience = patience.max(Duration::from_secs(1));
        self.roster().silent(uptime() - patience)
    }
}
