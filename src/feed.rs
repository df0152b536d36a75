//! The revocation feed, as `http` writes it and `verifier` reads it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::id::{SessionId, UserId};
use crate::domain::revocation::{Entry, Head, LogNumber, Mark, Revocation};
use crate::domain::time::Timestamp;

/// The first event of a stream: where its entries begin.
#[derive(Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) after: LogNumber,
    pub(crate) mark: Mark,
    pub(crate) at: Timestamp,
}

impl Window {
    pub(crate) const EVENT: &str = "window";
}

/// The log ended there at that time, which can be relied on for so long.
#[derive(Serialize, Deserialize)]
pub(crate) struct Standing {
    #[serde(flatten)]
    pub(crate) head: HeadView,
    pub(crate) at: Timestamp,
    pub(crate) lasts_ms: u64,
}

impl Standing {
    pub(crate) const EVENT: &str = "head";
}

/// An entry of the log, by its number and its random mark.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = LogHead)]
pub(crate) struct HeadView {
    #[schema(value_type = u64, example = 43)]
    number: LogNumber,
    #[schema(value_type = String, example = "9f86d081884c7d659a2feaa0c55ad015")]
    mark: Mark,
}

impl From<Head> for HeadView {
    fn from(Head { number, mark }: Head) -> Self {
        Self { number, mark }
    }
}

impl From<HeadView> for Head {
    fn from(HeadView { number, mark }: HeadView) -> Self {
        Self { number, mark }
    }
}

/// What was revoked.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Revocation)]
pub(crate) struct EntryView {
    #[serde(flatten)]
    at: HeadView,
    #[serde(flatten)]
    revocation: RevocationView,
}

impl EntryView {
    pub(crate) const EVENT: &str = "entry";
}

#[derive(Serialize, Deserialize, ToSchema)]
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
    #[serde(other)]
    Unknown,
}

impl From<&Entry> for EntryView {
    fn from(entry: &Entry) -> Self {
        Self {
            at: entry.head().into(),
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

impl From<EntryView> for Entry {
    fn from(EntryView { at, revocation }: EntryView) -> Self {
        Self {
            number: at.number,
            mark: at.mark,
            revocation: match revocation {
                RevocationView::SessionEnded { session } => Revocation::SessionEnded(session),
                RevocationView::UserEnded { user, spared } => {
                    Revocation::UserEnded { user, spared }
                }
                RevocationView::UserChanged { user } => Revocation::UserChanged(user),
                RevocationView::EveryoneEnded => Revocation::EveryoneEnded,
                RevocationView::Unknown => Revocation::Unknown,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::domain::revocation::tests::any_revocation;

    fn any_head() -> impl Strategy<Value = Head> {
        (any::<u64>(), any::<[u8; 16]>()).prop_map(|(number, mark)| Head {
            number: LogNumber::new(number),
            mark: Mark(mark),
        })
    }

    fn any_time() -> impl Strategy<Value = Timestamp> {
        (0..253_402_300_800_000_i64).prop_map(Timestamp::from_millis)
    }

    fn through_json<T: Serialize + DeserializeOwned>(written: &T) -> T {
        serde_json::from_str(&serde_json::to_string(written).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(
            at in any_head(),
            revocation in any_revocation(),
            time in any_time(),
            lasts_ms in any::<u64>(),
        ) {
            let Head { number, mark } = at;
            let entry = Entry { number, mark, revocation };
            prop_assert_eq!(Entry::from(through_json(&EntryView::from(&entry))), entry);

            let window = through_json(&Window { after: number, mark, at: time });
            prop_assert_eq!((window.after, window.mark, window.at), (number, mark, time));

            let standing = through_json(&Standing { head: at.into(), at: time, lasts_ms });
            prop_assert_eq!(Head::from(standing.head), at);
            prop_assert_eq!((standing.at, standing.lasts_ms), (time, lasts_ms));
        }
    }

    #[test]
    fn what_only_a_later_version_knows_is_read_as_unknown() {
        let mark = Mark([0xab; 16]);
        let text = format!(
            r#"{{"number": 42, "mark": "{mark}", "kind": "device_ended", "device": {{"id": 1}}}}"#
        );
        let read: EntryView = serde_json::from_str(&text).unwrap();
        let expected = Entry {
            number: LogNumber::new(42),
            mark,
            revocation: Revocation::Unknown,
        };
        assert_eq!(Entry::from(read), expected);
    }
}
