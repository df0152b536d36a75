//! The log's entries as services hear of them: in pages, and in the events of a stream
//! (HTML, 9.2).

use std::time::Duration;

use actix_web::web::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::id::{SessionId, UserId};
use crate::domain::revocation::{Entry, Head, LogNumber, Mark, Revocation};
use crate::domain::time::Timestamp;
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

/// An entry of the log, by its number and its random mark.
#[derive(Serialize, ToSchema)]
#[schema(as = LogHead)]
struct HeadView {
    #[schema(value_type = u64, example = 43)]
    number: LogNumber,
    #[schema(value_type = String, example = "9f86d081884c7d659a2feaa0c55ad015")]
    mark: Mark,
}

impl From<Head> for HeadView {
    fn from(head: Head) -> Self {
        Self {
            number: head.number,
            mark: head.mark,
        }
    }
}

/// What was revoked.
#[derive(Serialize, ToSchema)]
#[schema(as = Revocation)]
struct EntryView {
    #[serde(flatten)]
    at: HeadView,
    #[serde(flatten)]
    revocation: RevocationView,
}

#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = Revoked)]
enum RevocationView {
    SessionEnded {
        #[schema(value_type = String, format = Uuid)]
        session: SessionId,
    },
    /// All sessions of the user that began before, but for one that may be spared.
    UserEnded {
        #[schema(value_type = String, format = Uuid)]
        user: UserId,
        #[schema(required, value_type = Option<String>, format = Uuid)]
        spared: Option<SessionId>,
    },
    /// The user's name, e-mail address or role.
    UserChanged {
        #[schema(value_type = String, format = Uuid)]
        user: UserId,
    },
    /// All sessions that began before.
    EveryoneEnded,
    /// Something that a later version records: refuse all that is older.
    Unknown,
}

impl From<&Entry> for EntryView {
    fn from(entry: &Entry) -> Self {
        Self {
            at: HeadView {
                number: entry.number,
                mark: entry.mark,
            },
            revocation: match entry.revocation {
                Revocation::SessionEnded(session) => RevocationView::SessionEnded { session },
                Revocation::UserEnded { user, spared } => {
                    RevocationView::UserEnded { user, spared }
                }
                Revocation::UserChanged(user) => RevocationView::UserChanged { user },
                Revocation::EveryoneEnded => RevocationView::EveryoneEnded,
                Revocation::Unknown => RevocationView::Unknown,
            },
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
            write(&mut events, "entry", id, &EntryView::from(entry));
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

/// The first event of a stream: where its entries begin.
pub(super) fn window(after: Head, at: Timestamp) -> Bytes {
    #[derive(Serialize)]
    struct Window {
        after: LogNumber,
        mark: Mark,
        at: Timestamp,
    }
    let window = Window {
        after: after.number,
        mark: after.mark,
        at,
    };
    let mut event = Vec::with_capacity(LENGTH);
    write(&mut event, "window", None, &window);
    event.into()
}

/// Up to there, there was nothing else at that time.
pub(super) fn head(vouching: &Vouching, at: Timestamp) -> Bytes {
    #[derive(Serialize)]
    struct Beat {
        #[serde(flatten)]
        head: HeadView,
        at: Timestamp,
        lasts_ms: u128,
    }
    let beat = Beat {
        head: vouching.head.into(),
        at,
        lasts_ms: vouching.lasts.as_millis(),
    };
    let mut event = Vec::with_capacity(LENGTH);
    write(&mut event, "head", Some(vouching.head), &beat);
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
