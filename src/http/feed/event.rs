//! The log's entries as services hear of them: in pages, and in the events of a stream
//! (HTML, 9.2).

use std::time::Duration;

use actix_web::web::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::revocation::{Entry, Head, LogNumber, Mark};
use crate::domain::time::Timestamp;
use crate::feed::{EntryView, HeadView, Standing, Window};
use crate::sessions::{Extract, Vouching};

/// What one entry takes up, or a little less.
const LENGTH: usize = 200;

/// A part of the revocation log.
#[derive(Serialize, ToSchema)]
#[schema(as = Revocations)]
pub(in crate::http) struct RevocationsBody {
    /// The number of the entry before the first.
    #[schema(value_type = u64, example = 41)]
    after: LogNumber,
    /// Its mark.
    #[schema(value_type = String, example = "5c62e091b8c0565f1bafad0dad5934b2")]
    mark: Mark,
    /// Where the log ended; if that is farther than the last entry, ask again.
    head: HeadView,
    /// When this was read, on the database's clock.
    #[schema(value_type = String, format = DateTime, example = "2026-09-21T14:13:20.25Z")]
    at: Timestamp,
    /// How long it can be relied on, from when it was asked for, that there was nothing
    /// else; 0 if this instance does not vouch for it.
    #[schema(value_type = u64, example = 4618)]
    lasts_ms: u128,
    /// In order, without a gap.
    entries: Vec<EntryView>,
}

impl RevocationsBody {
    pub(in crate::http) fn new(extract: &Extract, lasts: Duration) -> Self {
        Self {
            after: extract.after.number,
            mark: extract.after.mark,
            head: extract.head.into(),
            at: extract.at,
            lasts_ms: lasts.as_millis(),
            entries: extract.entries.iter().map(EntryView::from).collect(),
        }
    }
}

/// Entries that follow each other, as events.
pub(super) struct Batch {
    after: Head,
    pub(super) last: Head,
    events: Bytes,
    /// Where the event of each entry ends.
    ends: Vec<usize>,
}

/// What a batch has for whoever knows the log up to some entry.
pub(super) enum Rest {
    New(Bytes),
    Nothing,
    /// Something is missing in between.
    Gap,
}

impl Batch {
    /// `None` if there are no entries.
    pub(super) fn new(after: Head, entries: &[Entry]) -> Option<Self> {
        let last = entries.last()?.head();
        let mut events = Vec::with_capacity(LENGTH * entries.len());
        let write = |entry: &Entry| {
            let id = Some(entry.head());
            write(&mut events, EntryView::EVENT, id, &EntryView::from(entry));
            events.len()
        };
        let ends = entries.iter().map(write).collect();
        Some(Self {
            after,
            last,
            events: events.into(),
            ends,
        })
    }

    pub(super) fn events(&self) -> Bytes {
        self.events.clone()
    }

    pub(super) fn rest(&self, known: Head) -> Rest {
        if known == self.after {
            return Rest::New(self.events());
        }
        if self.last.number <= known.number {
            return Rest::Nothing;
        }
        let passed = known.number.get().checked_sub(self.after.number.get());
        let passed = passed.and_then(|passed| usize::try_from(passed).ok()?.checked_sub(1));
        match passed.and_then(|last| self.ends.get(last)) {
            Some(end) => Rest::New(self.events.slice(*end..)),
            None => Rest::Gap,
        }
    }
}

pub(super) fn window(after: Head, at: Timestamp) -> Bytes {
    let window = Window {
        after: after.number,
        mark: after.mark,
        at,
    };
    let mut event = Vec::with_capacity(LENGTH);
    write(&mut event, Window::EVENT, None, &window);
    event.into()
}

/// Up to there, there was nothing else at that time.
pub(super) fn head(vouching: &Vouching, at: Timestamp) -> Bytes {
    let standing = Standing {
        head: vouching.head.into(),
        at,
        lasts_ms: vouching.lasts.as_millis().try_into().unwrap_or(u64::MAX),
    };
    let mut event = Vec::with_capacity(LENGTH);
    write(&mut event, Standing::EVENT, Some(vouching.head), &standing);
    event.into()
}

#[expect(clippy::expect_used, reason = "it is made of strings and numbers")]
fn write(events: &mut Vec<u8>, name: &str, id: Option<Head>, data: &impl Serialize) {
    if let Some(id) = id {
        events.extend(format!("id: {}-{}\n", id.number, id.mark).bytes());
    }
    events.extend(format!("event: {name}\ndata: ").bytes());
    serde_json::to_writer(&mut *events, data).expect("it can be JSON");
    events.extend(b"\n\n");
}
