//! What a browser that has logged in is known by afterwards, so that nobody else's
//! guesses keep it out. It authenticates nothing.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::id::UserId;
use crate::domain::keys::{KEY_ID_LENGTH, KeyRing, MAC_LENGTH, Purpose};
use crate::domain::time::Timestamp;
use crate::domain::user::CredentialVersion;

/// How long a browser is known after it has logged in.
pub const DEVICE_LIFETIME: Duration = Duration::from_hours(365 * 24);

const VERSION: u8 = 1;
const ID_LENGTH: usize = 16;
const TIME_LENGTH: usize = 8;
const HEADER_LENGTH: usize = 1 + KEY_ID_LENGTH;
const BODY_LENGTH: usize = ID_LENGTH + TIME_LENGTH;
const LENGTH: usize = HEADER_LENGTH + BODY_LENGTH + MAC_LENGTH;
const USER_LENGTH: usize = 16;
const VERSION_LENGTH: usize = 8;
const MESSAGE_LENGTH: usize = BODY_LENGTH + USER_LENGTH + VERSION_LENGTH;

/// Tells one browser from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceId([u8; ID_LENGTH]);

impl DeviceId {
    /// `bytes` must be random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; ID_LENGTH]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; ID_LENGTH] {
        &self.0
    }

    /// The cookie's value: `version (1) ‖ key id (2) ‖ id (16) ‖ end (8) ‖ MAC (16)` in
    /// base64url. The MAC is of the user and the credential as well: it is worth nothing at
    /// another account, nor to who has logged in by a password that was changed since.
    #[must_use]
    pub fn known_to(
        self,
        user: UserId,
        credential: CredentialVersion,
        until: Timestamp,
        keys: &KeyRing,
    ) -> String {
        let mut body = [0; BODY_LENGTH];
        body[..ID_LENGTH].copy_from_slice(&self.0);
        body[ID_LENGTH..].copy_from_slice(&until.as_millis().to_be_bytes());
        let (key_id, mac) = keys.sign(Purpose::Device, &signed(&body, user, credential));
        let bytes = [&[VERSION], &key_id[..], &body, &mac].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

fn signed(
    body: &[u8; BODY_LENGTH],
    user: UserId,
    credential: CredentialVersion,
) -> [u8; MESSAGE_LENGTH] {
    let mut message = [0; MESSAGE_LENGTH];
    let (start, version) = message.split_at_mut(BODY_LENGTH + USER_LENGTH);
    start[..BODY_LENGTH].copy_from_slice(body);
    start[BODY_LENGTH..].copy_from_slice(user.as_uuid().as_bytes());
    version.copy_from_slice(&credential.0.to_be_bytes());
    message
}

/// What a cookie's value says to be a browser that some account knows.
#[derive(Clone, Copy)]
pub struct DeviceClaim {
    key_id: [u8; KEY_ID_LENGTH],
    body: [u8; BODY_LENGTH],
    mac: [u8; MAC_LENGTH],
}

impl DeviceClaim {
    /// `None` for what is of another form.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
        let bytes: [u8; LENGTH] = bytes.try_into().ok()?;
        let (header, rest) = bytes.split_first_chunk::<HEADER_LENGTH>()?;
        let (body, mac) = rest.split_first_chunk::<BODY_LENGTH>()?;
        (header[0] == VERSION).then_some(Self {
            key_id: [header[1], header[2]],
            body: *body,
            mac: mac.try_into().ok()?,
        })
    }

    /// The browser, if that account knows it.
    #[must_use]
    pub fn of(
        &self,
        user: UserId,
        credential: CredentialVersion,
        now: Timestamp,
        keys: &KeyRing,
    ) -> Option<DeviceId> {
        let (id, until) = self.body.split_first_chunk::<ID_LENGTH>()?;
        let until = i64::from_be_bytes(until.try_into().ok()?);
        let message = signed(&self.body, user, credential);
        let is_known = keys.verify(Purpose::Device, self.key_id, &message, &self.mac)
            && now < Timestamp::from_millis(until);
        is_known.then_some(DeviceId(*id))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::keys::tests::key;

    const ID: DeviceId = DeviceId([7; ID_LENGTH]);

    const FIRST: CredentialVersion = CredentialVersion::FIRST;

    fn user(number: u128) -> UserId {
        Uuid::from_u128(number).into()
    }

    fn time(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_browser_is_known_to_its_account_alone_and_for_its_time() {
        let keys = KeyRing::new(&key(1), &[]);
        let value = ID.known_to(user(1), FIRST, time(1000), &keys);
        let claim = DeviceClaim::parse(value.as_bytes()).unwrap();
        assert_eq!(claim.of(user(1), FIRST, time(999), &keys), Some(ID));
        assert_eq!(claim.of(user(1), FIRST, time(1000), &keys), None);
        assert_eq!(claim.of(user(2), FIRST, time(999), &keys), None);
        assert_eq!(claim.of(user(1), FIRST.next(), time(999), &keys), None);
        let others = KeyRing::new(&key(2), &[]);
        assert_eq!(claim.of(user(1), FIRST, time(999), &others), None);
    }

    #[test]
    fn every_changed_character_is_refused() {
        let keys = KeyRing::new(&key(1), &[]);
        let value = ID.known_to(user(1), FIRST, time(1000), &keys).into_bytes();
        for position in 0..value.len() {
            for replacement in b"ABCDwxyz0189-_=%" {
                let mut forged = value.clone();
                if forged[position] == *replacement {
                    continue;
                }
                forged[position] = *replacement;
                let claim = DeviceClaim::parse(&forged);
                let known = claim.and_then(|claim| claim.of(user(1), FIRST, time(999), &keys));
                assert_eq!(known, None, "{position}");
            }
        }
        assert!(DeviceClaim::parse(&value[1..]).is_none());
        assert!(DeviceClaim::parse(b"").is_none());
    }
}
