//! A session's copy as it lies in Redis: sealed, so that whoever reads Redis
//! gets no session and whoever writes it gets no identity.
//!
//! `version (1) ‖ key id (2) ‖ nonce (12) ‖ ChaCha20-Poly1305 of the record`,
//! under a key of the record's digest, with what comes before the nonce as
//! associated data. The record itself is postcard's encoding of [`Version2`].

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::user_agent;
use crate::domain::client::UserAgent;
use crate::domain::digest::TokenDigest;
use crate::domain::email::Email;
use crate::domain::id::SessionId;
use crate::domain::keys::{KEY_ID_LENGTH, KeyRing, NONCE_LENGTH};
use crate::domain::revocation::{LogNumber, MarkPrefix, Vouched};
use crate::domain::session::{Record, Session};
use crate::domain::time::Timestamp;
use crate::domain::user::{Role, UserName};

const VERSION: u8 = 2;
const HEADER_LENGTH: usize = 1 + KEY_ID_LENGTH;

/// Never changed: another layout is another version. Times are in milliseconds after
/// the session was issued, which its id tells: small numbers take few bytes.
#[derive(Serialize, Deserialize)]
struct Version2<'a> {
    session_id: [u8; 16],
    user_id: [u8; 16],
    born: u64,
    vouched: u64,
    vouched_mark: [u8; 4],
    authenticated: i64,
    last_seen: i64,
    ledger_seen: i64,
    expires: i64,
    idle_timeout_ms: u64,
    remember_me: bool,
    address: Option<IpAddr>,
    /// Packed by [`user_agent::pack`].
    user_agent: Option<&'a [u8]>,
    email: &'a str,
    name: &'a str,
    is_admin: bool,
    user_created: i64,
}

pub(super) fn seal(
    record: &Record,
    digest: &TokenDigest,
    keys: &KeyRing,
    nonce: [u8; NONCE_LENGTH],
) -> anyhow::Result<Vec<u8>> {
    let user_agent = record.session.user_agent.as_ref().map(user_agent::pack);
    let plaintext = postcard::to_stdvec(&Version2::of(record, user_agent.as_deref()))?;
    let (key_id, body) = keys.seal(digest, VERSION, nonce, &plaintext);
    Ok([&[VERSION][..], &key_id, &nonce, &body].concat())
}

/// `None` for whatever this version did not seal with one of these keys under
/// this digest.
pub(super) fn open(bytes: &[u8], digest: &TokenDigest, keys: &KeyRing) -> Option<Record> {
    let (header, rest) = bytes.split_at_checked(HEADER_LENGTH)?;
    let (version, key_id) = header.split_first()?;
    if *version != VERSION {
        return None;
    }
    let (nonce, body) = rest.split_at_checked(NONCE_LENGTH)?;
    let plaintext = keys.open(
        key_id.try_into().ok()?,
        digest,
        VERSION,
        nonce.try_into().ok()?,
        body,
    )?;
    postcard::from_bytes::<Version2<'_>>(&plaintext)
        .ok()?
        .into_record()
}

impl<'a> Version2<'a> {
    fn of(record: &'a Record, user_agent: Option<&'a [u8]>) -> Self {
        let session = &record.session;
        let issued_at = session.issued_at();
        let after = |at: Timestamp| at.as_millis().saturating_sub(issued_at.as_millis());
        Self {
            session_id: session.id.as_uuid().into_bytes(),
            user_id: session.user_id.as_uuid().into_bytes(),
            born: session.born.get(),
            vouched: record.vouched.number.get(),
            vouched_mark: record.vouched.mark.0,
            authenticated: after(session.authenticated_at),
            last_seen: after(session.last_seen_at),
            ledger_seen: after(record.ledger_seen_at),
            expires: after(session.expires_at),
            idle_timeout_ms: session.idle_timeout_ms,
            remember_me: session.remember_me,
            address: session.address,
            user_agent,
            email: record.email.as_str(),
            name: record.name.as_str(),
            is_admin: record.role == Role::Admin,
            user_created: after(record.user_created_at),
        }
    }

    fn into_record(self) -> Option<Record> {
        let id: SessionId = uuid::Uuid::from_bytes(self.session_id).into();
        let issued_at = id.time();
        let at = |after| Timestamp::from_millis(issued_at.as_millis().saturating_add(after));
        let user_agent: Option<UserAgent> = match self.user_agent {
            Some(packed) => Some(user_agent::unpack(packed)?),
            None => None,
        };
        Some(Record {
            session: Session {
                id,
                user_id: uuid::Uuid::from_bytes(self.user_id).into(),
                born: LogNumber::new(self.born),
                authenticated_at: at(self.authenticated),
                last_seen_at: at(self.last_seen),
                expires_at: at(self.expires),
                idle_timeout_ms: self.idle_timeout_ms,
                remember_me: self.remember_me,
                address: self.address,
                user_agent,
            },
            email: Email::parse(self.email).ok()?,
            name: UserName::from_stored(self.name),
            role: if self.is_admin {
                Role::Admin
            } else {
                Role::User
            },
            user_created_at: at(self.user_created),
            vouched: Vouched {
                number: LogNumber::new(self.vouched),
                mark: MarkPrefix(self.vouched_mark),
            },
            ledger_seen_at: at(self.ledger_seen),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::domain::keys::tests::key;
    use crate::domain::session::tests::record;

    const DIGEST: TokenDigest = TokenDigest::from_bytes([3; 32]);

    fn sealed(keys: &KeyRing) -> Vec<u8> {
        let mut record = record(7, 9);
        record.session.address = Some("2001:db8::1".parse().unwrap());
        record.session.user_agent = UserAgent::parse(b"curl/8.5.0");
        seal(&record, &DIGEST, keys, [5; NONCE_LENGTH]).unwrap()
    }

    #[test]
    fn a_record_survives_sealing_and_a_rotation_of_the_key() {
        let bytes = sealed(&KeyRing::new(&key(1), &[]));
        let opened = open(&bytes, &DIGEST, &KeyRing::new(&key(2), &[key(1)])).unwrap();
        assert_eq!(opened.vouched, record(7, 9).vouched);
        assert_eq!(opened.session.born, LogNumber::new(7));
        assert_eq!(opened.user(), record(7, 9).user());
        assert_eq!(opened.session.user_agent, UserAgent::parse(b"curl/8.5.0"));
    }

    #[test]
    fn a_copied_truncated_or_future_record_is_none() {
        let keys = KeyRing::new(&key(1), &[]);
        let bytes = sealed(&keys);
        assert_eq!(open(&bytes, &TokenDigest::from_bytes([4; 32]), &keys), None);
        assert_eq!(open(&bytes, &DIGEST, &KeyRing::new(&key(2), &[])), None);
        for length in 0..bytes.len() {
            assert_eq!(open(&bytes[..length], &DIGEST, &keys), None, "{length}");
        }
        let mut future = bytes;
        future[0] = 3;
        assert_eq!(open(&future, &DIGEST, &keys), None);
    }

    /// As version 0.1 has sealed it. Instances of two versions stand side by side during
    /// a deploy: each reads what the other writes. A new layout gets a line of its own, and
    /// is written once every instance can read it.
    const SEALED_BY_0_1: &str = "Ak/+BQUFBQUFBQUFBQUFhk1yG8qm8kl4BZnozozZK+ps5serMSdOztrf6mrXk2ZUguowRapPH6+r\
        OccmoFk74hNtuU3jMANZID+2yCKOL0RBl/ZcqWXL5RbmdVl0QAdEZdOoXXMDEAYJZ6+E3Tg+ogH2\
        7IIvavqloXHnhz1RxO2DRh6Etag49g==";

    #[test]
    fn what_version_0_1_has_sealed_is_read_and_written_as_it_was() {
        let keys = KeyRing::new(&key(1), &[]);
        let golden = STANDARD.decode(SEALED_BY_0_1).unwrap();
        assert_eq!(STANDARD.encode(sealed(&keys)), SEALED_BY_0_1);
        assert!(open(&golden, &DIGEST, &keys).is_some());
    }

    #[test]
    fn nothing_of_a_user_is_readable() {
        let bytes = sealed(&KeyRing::new(&key(1), &[]));
        for secret in [&b"alice"[..], b"example.com", b"curl"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_or_garbage_is_none(
            position in 0usize..150, bit in 0u8..8, garbage in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            let keys = KeyRing::new(&key(1), &[]);
            let mut bytes = sealed(&keys);
            let position = position % bytes.len();
            bytes[position] ^= 1 << bit;
            prop_assert_eq!(open(&bytes, &DIGEST, &keys), None);
            prop_assert_eq!(open(&garbage, &DIGEST, &keys), None);
        }
    }

    /// A fuzz target: what another version, or whoever has a key, may have sealed.
    #[test]
    fn whatever_is_opened_can_be_sealed_again_and_opens_under_its_own_digest_alone() {
        #[derive(Clone, Debug, bolero::TypeGenerator)]
        struct Made {
            ids: [[u8; 16]; 2],
            numbers: [u64; 3],
            times: [i64; 5],
            flags: [bool; 2],
            address: Option<[u8; 16]>,
            user_agent: Option<Vec<u8>>,
            name: String,
            garbage: Vec<u8>,
        }

        let keys = KeyRing::new(&key(1), &[]);
        let other = TokenDigest::from_bytes([4; 32]);
        let look_at = |plaintext: &[u8]| {
            let nonce = [5; NONCE_LENGTH];
            let (key_id, body) = keys.seal(&DIGEST, VERSION, nonce, plaintext);
            let mut sealed = vec![VERSION];
            sealed.extend(key_id);
            sealed.extend(nonce);
            sealed.extend(body);
            assert_eq!(open(&sealed, &other, &keys), None);
            let record = open(&sealed, &DIGEST, &keys)?;
            let again = seal(&record, &DIGEST, &keys, nonce).unwrap();
            assert_eq!(open(&again, &DIGEST, &keys).as_ref(), Some(&record));
            Some(record)
        };
        bolero::check!()
            .with_type::<Made>()
            .for_each(|made: &Made| {
                let user_agent = made.user_agent.as_deref().and_then(UserAgent::parse);
                let user_agent = user_agent.as_ref().map(user_agent::pack);
                let name = UserName::parse(&made.name);
                let plaintext = postcard::to_stdvec(&Version2 {
                    session_id: made.ids[0],
                    user_id: made.ids[1],
                    born: made.numbers[0],
                    vouched: made.numbers[1],
                    vouched_mark: [6; 4],
                    authenticated: made.times[0],
                    last_seen: made.times[1],
                    ledger_seen: made.times[2],
                    expires: made.times[3],
                    idle_timeout_ms: made.numbers[2],
                    remember_me: made.flags[0],
                    address: made.address.map(IpAddr::from),
                    user_agent: user_agent.as_deref(),
                    email: "alice@example.com",
                    name: name.as_ref().map_or("Alice", UserName::as_str),
                    is_admin: made.flags[1],
                    user_created: made.times[4],
                })
                .unwrap();
                assert!(look_at(&plaintext).is_some());
                look_at(&made.garbage);
                let half = plaintext.len() / 2;
                look_at(&[&plaintext[..half], &made.garbage].concat());
            });
    }
}
