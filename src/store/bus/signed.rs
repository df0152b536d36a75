//! A signal as it goes through Redis: signed, so that whoever writes to Redis ends
//! nobody's session and vouches for nobody.
//!
//! `version (1) ‖ key id (2) ‖ MAC (16) ‖ postcard's encoding of` [`Wire`], with the
//! MAC over version and encoding.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Signal;
use crate::domain::id::{SessionId, UserId};
use crate::domain::instance::{Beat, BeatNumber, InstanceId, Push};
use crate::domain::keys::{KEY_ID_LENGTH, KeyRing, MAC_LENGTH, Purpose};
use crate::domain::revocation::{
    Appended, Entry, LogNumber, Mark, MarkPrefix, Revocation, Vouched,
};

const VERSION: u8 = 1;
const HEADER_LENGTH: usize = 1 + KEY_ID_LENGTH + MAC_LENGTH;

/// Variants and fields are never changed, only variants added at the end: who does
/// not know one asks the ledger.
#[derive(Serialize, Deserialize)]
enum Wire {
    Push {
        instance: [u8; 16],
        number: u64,
        after: Option<[u8; 16]>,
        entries: Vec<WireEntry>,
    },
    Beat {
        instance: [u8; 16],
        number: u64,
        reached: u64,
        mark: [u8; 4],
        is_last: bool,
        heard: Vec<([u8; 16], u64)>,
    },
}

#[derive(Serialize, Deserialize)]
struct WireEntry {
    number: u64,
    mark: [u8; 16],
    revocation: WireRevocation,
}

#[derive(Serialize, Deserialize)]
enum WireRevocation {
    SessionEnded([u8; 16]),
    UserEnded {
        user: [u8; 16],
        spared: Option<[u8; 16]>,
    },
    UserChanged([u8; 16]),
    EveryoneEnded,
    Unknown,
}

pub(super) fn sign(signal: &Signal, keys: &KeyRing) -> anyhow::Result<Vec<u8>> {
    let body = postcard::to_stdvec(&Wire::from(signal))?;
    let (key_id, mac) = keys.sign(Purpose::Signal, &signed_part(&body));
    Ok([&[VERSION][..], &key_id, &mac, &body].concat())
}

/// `None` for whatever this version did not sign with one of these keys.
pub(super) fn open(message: &[u8], keys: &KeyRing) -> Option<Signal> {
    let (header, body) = message.split_at_checked(HEADER_LENGTH)?;
    let (version, rest) = header.split_first()?;
    let (key_id, mac) = rest.split_at_checked(KEY_ID_LENGTH)?;
    let is_genuine = *version == VERSION
        && keys.verify(
            Purpose::Signal,
            key_id.try_into().ok()?,
            &signed_part(body),
            mac,
        );
    if !is_genuine {
        return None;
    }
    postcard::from_bytes::<Wire>(body).ok().map(Signal::from)
}

fn signed_part(body: &[u8]) -> Vec<u8> {
    [&[VERSION][..], body].concat()
}

fn bytes(id: impl Into<Uuid>) -> [u8; 16] {
    id.into().into_bytes()
}

fn id<T: From<Uuid>>(bytes: [u8; 16]) -> T {
    Uuid::from_bytes(bytes).into()
}

impl From<&Signal> for Wire {
    fn from(signal: &Signal) -> Self {
        match signal {
            Signal::Push(push) => Self::Push {
                instance: bytes(push.instance),
                number: push.number.get(),
                after: push.appended.after.map(|mark| mark.0),
                entries: push.appended.entries.iter().map(WireEntry::from).collect(),
            },
            Signal::Beat(beat) => Self::Beat {
                instance: bytes(beat.instance),
                number: beat.number.get(),
                reached: beat.reached.number.get(),
                mark: beat.reached.mark.0,
                is_last: beat.is_last,
                heard: beat
                    .heard
                    .iter()
                    .map(|(instance, number)| (bytes(*instance), number.get()))
                    .collect(),
            },
        }
    }
}

impl From<Wire> for Signal {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::Push {
                instance,
                number,
                after,
                entries,
            } => Self::Push(Push {
                instance: id(instance),
                number: BeatNumber::new(number),
                appended: Appended {
                    after: after.map(Mark),
                    entries: entries.into_iter().map(Entry::from).collect(),
                },
            }),
            Wire::Beat {
                instance,
                number,
                reached,
                mark,
                is_last,
                heard,
            } => Self::Beat(Beat {
                instance: id(instance),
                number: BeatNumber::new(number),
                reached: Vouched {
                    number: LogNumber::new(reached),
                    mark: MarkPrefix(mark),
                },
                is_last,
                heard: heard
                    .into_iter()
                    .map(|(instance, number)| (id::<InstanceId>(instance), BeatNumber::new(number)))
                    .collect(),
            }),
        }
    }
}

impl From<&Entry> for WireEntry {
    fn from(entry: &Entry) -> Self {
        Self {
            number: entry.number.get(),
            mark: entry.mark.0,
            revocation: match entry.revocation {
                Revocation::SessionEnded(session) => WireRevocation::SessionEnded(bytes(session)),
                Revocation::UserEnded { user, spared } => WireRevocation::UserEnded {
                    user: bytes(user),
                    spared: spared.map(bytes),
                },
                Revocation::UserChanged(user) => WireRevocation::UserChanged(bytes(user)),
                Revocation::EveryoneEnded => WireRevocation::EveryoneEnded,
                Revocation::Unknown => WireRevocation::Unknown,
            },
        }
    }
}

impl From<WireEntry> for Entry {
    fn from(entry: WireEntry) -> Self {
        Self {
            number: LogNumber::new(entry.number),
            mark: Mark(entry.mark),
            revocation: match entry.revocation {
                WireRevocation::SessionEnded(session) => {
                    Revocation::SessionEnded(id::<SessionId>(session))
                }
                WireRevocation::UserEnded { user, spared } => Revocation::UserEnded {
                    user: id::<UserId>(user),
                    spared: spared.map(id::<SessionId>),
                },
                WireRevocation::UserChanged(user) => Revocation::UserChanged(id::<UserId>(user)),
                WireRevocation::EveryoneEnded => Revocation::EveryoneEnded,
                WireRevocation::Unknown => Revocation::Unknown,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::domain::keys::tests::key;
    use crate::domain::time::Timestamp;

    fn signals() -> Vec<Signal> {
        let at = Timestamp::from_millis(1_800_000_000_000);
        let (user, session) = (UserId::new(at, [1; 10]), SessionId::new(at, [2; 10]));
        let revocations = [
            Revocation::SessionEnded(session),
            Revocation::UserEnded {
                user,
                spared: Some(session),
            },
            Revocation::UserChanged(user),
            Revocation::EveryoneEnded,
            Revocation::Unknown,
        ];
        let entries = (7..).zip(revocations).map(|(number, revocation)| Entry {
            number: LogNumber::new(number),
            mark: Mark([9; 16]),
            revocation,
        });
        vec![
            Signal::Push(Push {
                instance: InstanceId::new(at, [3; 10]),
                number: BeatNumber::new(1),
                appended: Appended {
                    after: Some(Mark([8; 16])),
                    entries: entries.collect(),
                },
            }),
            Signal::Beat(Beat {
                instance: InstanceId::new(at, [3; 10]),
                number: BeatNumber::new(4),
                reached: Vouched {
                    number: LogNumber::new(5),
                    mark: MarkPrefix([6; 4]),
                },
                is_last: false,
                heard: vec![(InstanceId::new(at, [4; 10]), BeatNumber::new(2))],
            }),
        ]
    }

    #[test]
    fn what_is_signed_is_read_as_it_was_and_nothing_else_is() {
        let (keys, others) = (KeyRing::new(&key(1), &[]), KeyRing::new(&key(2), &[]));
        for signal in signals() {
            let message = sign(&signal, &keys).unwrap();
            assert_eq!(open(&message, &keys), Some(signal));
            assert_eq!(open(&message, &others), None);
            for position in 0..message.len() {
                let mut forged = message.clone();
                forged[position] ^= 1;
                assert_eq!(open(&forged, &keys), None, "{position}");
                assert_eq!(open(&message[..position], &keys), None);
            }
        }
    }

    /// As version 0.1 has signed them: each version hears the other's.
    const SIGNED_BY_0_1: [&str; 2] = [
        "AU/+UbzfVTAIUGEBFz797m7BVAABoxhcUABzA4MDAwMDAwMDAQEICAgICAgICAgICAgICAgIBQcJ\
         CQkJCQkJCQkJCQkJCQkJAAGjGFxQAHICggICAgICAgIICQkJCQkJCQkJCQkJCQkJCQEBoxhcUABx\
         AYEBAQEBAQEBAQGjGFxQAHICggICAgICAgIJCQkJCQkJCQkJCQkJCQkJCQIBoxhcUABxAYEBAQEB\
         AQEBCgkJCQkJCQkJCQkJCQkJCQkDCwkJCQkJCQkJCQkJCQkJCQkE",
        "AU/+Jfzxaw4fxYpDhe8uywma4QEBoxhcUABzA4MDAwMDAwMDBAUGBgYGAAEBoxhcUAB0BIQEBAQE\
         BAQEAg==",
    ];

    #[test]
    fn what_version_0_1_has_signed_is_heard_and_said_as_it_was() {
        let keys = KeyRing::new(&key(1), &[]);
        let said: Vec<_> = signals()
            .iter()
            .map(|signal| STANDARD.encode(sign(signal, &keys).unwrap()))
            .collect();
        assert_eq!(said, SIGNED_BY_0_1);
        for (golden, signal) in SIGNED_BY_0_1.iter().zip(signals()) {
            let golden = STANDARD.decode(golden).unwrap();
            assert_eq!(open(&golden, &keys), Some(signal));
        }
    }

    /// A fuzz target: what another version, or whoever has a key, may have signed.
    #[test]
    fn whatever_is_opened_can_be_signed_again() {
        #[derive(Clone, Debug, bolero::TypeGenerator)]
        struct Made {
            instance: [u8; 16],
            number: u64,
            mark: [u8; 16],
            is_last: bool,
            heard: Vec<([u8; 16], u64)>,
            entries: Vec<(u64, [u8; 16], u8)>,
            garbage: Vec<u8>,
        }

        let keys = KeyRing::new(&key(1), &[]);
        let look_at = |body: &[u8]| {
            let (key_id, mac) = keys.sign(Purpose::Signal, &signed_part(body));
            let signal = open(&[&[VERSION][..], &key_id, &mac, body].concat(), &keys)?;
            let again = sign(&signal, &keys).unwrap();
            assert_eq!(open(&again, &keys).as_ref(), Some(&signal));
            Some(again)
        };
        bolero::check!()
            .with_type::<Made>()
            .for_each(|made: &Made| {
                let entry = |&(number, id, kind): &(u64, [u8; 16], u8)| WireEntry {
                    number,
                    mark: made.mark,
                    revocation: match kind % 5 {
                        0 => WireRevocation::SessionEnded(id),
                        1 => WireRevocation::UserEnded {
                            user: id,
                            spared: made.is_last.then_some(made.mark),
                        },
                        2 => WireRevocation::UserChanged(id),
                        3 => WireRevocation::EveryoneEnded,
                        _ => WireRevocation::Unknown,
                    },
                };
                let push = Wire::Push {
                    instance: made.instance,
                    number: made.number,
                    after: made.is_last.then_some(made.mark),
                    entries: made.entries.iter().map(entry).collect(),
                };
                let beat = Wire::Beat {
                    instance: made.instance,
                    number: made.number,
                    reached: made.number,
                    mark: [made.mark[0]; 4],
                    is_last: made.is_last,
                    heard: made.heard.clone(),
                };
                for wire in [push, beat] {
                    let body = postcard::to_stdvec(&wire).unwrap();
                    let again = look_at(&body).unwrap();
                    assert_eq!(again[HEADER_LENGTH..], body, "nothing is lost");
                    look_at(&[&body[..body.len() / 2], &made.garbage].concat());
                }
                look_at(&made.garbage);
            });
    }
}
