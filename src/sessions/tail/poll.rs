//! The poll of the ledger. It confirms the view when one statement saw the log's
//! head, the entry the view stands at with the mark this instance knows, and
//! everything in between, on a server that takes writes; and when this
//! instance is enrolled, so that whoever revokes waits for it. The confirmation
//! counts from before the statement was sent.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::{Shared, set_back};
use crate::domain::belief::Belief;
use crate::domain::instance::{InstanceId, Report, Standing};
use crate::domain::time::Uptime;
use crate::sessions::clock::uptime;
use crate::store::Unavailable;
use crate::store::ledger::{Ledger, LogReader};

/// Between two polls, however many ask for one.
const PAUSE: Duration = Duration::from_millis(2);

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
    mut reader: Option<LogReader>,
    ledger: Ledger,
) -> impl Future<Output = ()> + Send + use<> {
    let (poll_now, interval) = (Arc::clone(&shared.poll_now), shared.poll_interval);
    let shared = Arc::downgrade(shared);
    async move {
        loop {
            let Some(shared) = shared.upgrade().filter(|shared| !shared.has_left()) else {
                break;
            };
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
    let (known, asked_at) = (shared.head(), uptime());
    let page = connected.read(Some(known.number)).await?;
    if page.is_read_only {
        return Err(Unavailable::task(anyhow!(
            "the ledger's server takes no writes"
        )));
    }
    shared.clock.follow(page.now, asked_at);
    if page.known_mark != Some(known.mark) {
        set_back::begin_anew(shared, &mut connected, ledger, page.head).await?;
        *reader = Some(connected);
        return Ok(Polled::Unfinished);
    }
    if shared.advance(&page.entries).is_err() {
        return Err(Unavailable::task(anyhow!("the revocation log has a gap")));
    }
    let polled = if shared.reached() < page.head.number {
        Polled::Unfinished
    } else {
        call_the_roll(shared, &mut connected, asked_at).await?
    };
    *reader = Some(connected);
    Ok(polled)
}

/// Hears who is registered, and has the others hear of this instance.
async fn call_the_roll(
    shared: &Shared,
    reader: &mut LogReader,
    asked_at: Uptime,
) -> Result<Polled, Unavailable> {
    let registered = reader.registered(shared.limits.lease).await?;
    let own = shared.roster().own();
    let is_enrolled = registered
        .iter()
        .any(|one| one.instance == own && one.standing == Standing::Enrolled);
    if !is_enrolled {
        tracing::warn!(instance = %own, "this instance was missed; it enrols again");
        reader.enrol(own).await?;
        return Ok(Polled::Unfinished);
    }
    let has_heard_all = shared.listens_since(asked_at);
    shared.roster().enrol(&registered, has_heard_all, uptime());
    if let Some(report) = shared.report() {
        reader.report(own, report).await?;
    }
    for missed in shared.missed() {
        reader.strike_off(missed).await?;
        tracing::warn!(instance = %missed, "an instance is missed");
    }
    shared.ledger_answers(asked_at);
    Ok(Polled::Confirmed)
}

impl Shared {
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
    /// hear it.
    fn report(&self) -> Option<Report> {
        let is_deaf = !self.is_carried();
        let mut roster = self.roster();
        if roster.is_alone() || !(is_deaf || roster.somebody_is_deaf()) {
            return None;
        }
        let beat = roster.beat(self.view().stands_at(), false, uptime());
        Some(Report {
            number: beat.number,
            reached: beat.reached,
            is_deaf,
        })
    }

    fn missed(&self) -> Vec<InstanceId> {
        let patience = self.poll_interval * MISSED_POLLS;
        let patience = patience.max(Duration::from_secs(1));
        let now = uptime();
        let since = now.since_start().checked_sub(patience);
        since.map_or_else(Vec::new, |since| {
            self.roster().silent(Uptime::from_start(since))
        })
    }
}
