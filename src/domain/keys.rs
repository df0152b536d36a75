//! The key ring: the first key signs and seals, every key verifies and opens,
//! so that keys are rotated without ending a session.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ring::aead::{self, LessSafeKey, UnboundKey};
use ring::hkdf;
use ring::hmac;
use ring::rand::SecureRandom;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::domain::digest::TokenDigest;
use crate::domain::jwt::{Jwk, SigningKey};

/// Of a secret key, in bytes.
pub const KEY_LENGTH: usize = 64;
/// Of the random number that makes each sealed record another, in bytes.
pub const NONCE_LENGTH: usize = 12;
/// Of what names the key that something was made with, in bytes.
pub const KEY_ID_LENGTH: usize = 2;
/// Of what proves that a key of the ring has made it, in bytes.
pub const MAC_LENGTH: usize = 16;

/// Names a key of a ring, on which no two have the same: the beginning of its
/// fingerprint.
pub type KeyId = [u8; KEY_ID_LENGTH];

/// Tells people whether two keys are the same, and nothing else of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 8]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// 64 random bytes, known to the instances of one deployment.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; KEY_LENGTH]>);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    #[error("a key is {KEY_LENGTH} bytes long; this one has {0}")]
    WrongLength(usize),
    #[error("a key consists of random bytes; this one looks typed or repeated")]
    NotRandom,
}

/// Of 64 random bytes, 57 are distinct on average, and fewer than 40 less often
/// than once in 10^10 keys.
const MIN_DISTINCT_BYTES: usize = 40;

impl SecretKey {
    /// # Errors
    /// Refuses bytes that no random generator would have made.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidKey> {
        let key: [u8; KEY_LENGTH] = bytes
            .try_into()
            .map_err(|_| InvalidKey::WrongLength(bytes.len()))?;
        let distinct = (u8::MIN..=u8::MAX).filter(|b| key.contains(b)).count();
        let looks_typed = key.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
        if distinct < MIN_DISTINCT_BYTES || looks_typed {
            return Err(InvalidKey::NotRandom);
        }
        Ok(Self(Zeroizing::new(key)))
    }

    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut bytes = [0; 8];
        expand(&self.root(), b"key id", &mut bytes);
        Fingerprint(bytes)
    }

    fn id(&self) -> KeyId {
        let Fingerprint([one, two, ..]) = self.fingerprint();
        [one, two]
    }

    /// Whether all can be on one ring: none is there twice, or named like another,
    /// which one pair of random keys in 65 536 is.
    #[must_use]
    pub fn are_distinct(keys: &[Self]) -> bool {
        let ids: HashSet<_> = keys.iter().map(Self::id).collect();
        ids.len() == keys.len()
    }

    fn root(&self) -> hkdf::Prk {
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"gatelodge").extract(&*self.0)
    }
}

/// The keys of a deployment, derived for their uses (HKDF, RFC 5869).
///
/// They can be replaced while the ring is in use: each call uses the keys of one
/// moment, and waits for nobody.
pub struct KeyRing(ArcSwap<Keys>);

struct Keys {
    first: Key,
    others: Vec<Key>,
}

/// What a signature is for: one made for something else does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Token,
    /// What instances tell each other.
    Signal,
    /// What a browser is known by that has logged in.
    Device,
}

struct Key {
    id: KeyId,
    token: hmac::Key,
    signal: hmac::Key,
    device: hmac::Key,
    record: hmac::Key,
    /// What others verify, who have no key of ours.
    jwt: SigningKey,
}

impl KeyRing {
    #[must_use]
    pub fn new(first: &SecretKey, others: &[SecretKey]) -> Self {
        Self(ArcSwap::from_pointee(Keys::derive(first, others)))
    }

    /// From now on, for everybody who uses the ring, these are the keys.
    pub fn replace(&self, first: &SecretKey, others: &[SecretKey]) {
        self.0.store(Arc::new(Keys::derive(first, others)));
    }

    /// Whether a key of that id is on the ring.
    #[must_use]
    pub fn has(&self, id: KeyId) -> bool {
        self.0.load().named(id).is_some()
    }

    /// The id of the key that signs, and its signature of `message`.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, message: &[u8]) -> (KeyId, [u8; MAC_LENGTH]) {
        let keys = self.0.load();
        (keys.first.id, keys.first.mac(purpose, message))
    }

    /// Whether a key of that id made `mac` for `message` and that purpose; in
    /// constant time.
    #[must_use]
    pub fn verify(&self, purpose: Purpose, id: KeyId, message: &[u8], mac: &[u8]) -> bool {
        self.0.load().named(id).is_some_and(|key| {
            let expected = key.mac(purpose, message);
            bool::from(subtle::ConstantTimeEq::ct_eq(&expected[..], mac))
        })
    }

    /// A JWT of these claims, signed by the first key (`EdDSA`).
    ///
    /// # Errors
    /// If the claims are not JSON.
    pub fn sign_jwt(
        &self,
        claims: &impl Serialize,
        random: &dyn SecureRandom,
    ) -> Result<String, anyhow::Error> {
        self.0.load().first.jwt.sign(claims, random)
    }

    /// The public halves of all keys that JWTs are verified by, the first first.
    #[must_use]
    pub fn published(&self) -> Vec<Jwk> {
        let keys = self.0.load();
        keys.each().map(|key| key.jwt.public().clone()).collect()
    }

    /// Encrypts a record (ChaCha20-Poly1305, RFC 8439) so that it opens only
    /// under the digest it was sealed for, and only with `version` and the id of the
    /// key that sealed it, which is given back, unchanged. Each digest has a key of
    /// its own, so a random nonce per record is safe for any number of records.
    #[must_use]
    pub fn seal(
        &self,
        digest: &TokenDigest,
        version: u8,
        nonce: [u8; NONCE_LENGTH],
        plaintext: &[u8],
    ) -> (KeyId, Vec<u8>) {
        let keys = self.0.load();
        let mut sealed = plaintext.to_vec();
        keys.first
            .record_key(digest)
            .seal_in_place_append_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                header(version, keys.first.id),
                &mut sealed,
            )
            .unwrap_or_else(|_| unreachable!("a record is far shorter than 256 GiB"));
        (keys.first.id, sealed)
    }

    /// Decrypts what [`KeyRing::seal`] made; `None` for anything else.
    #[must_use]
    pub fn open(
        &self,
        id: KeyId,
        digest: &TokenDigest,
        version: u8,
        nonce: [u8; NONCE_LENGTH],
        sealed: &[u8],
    ) -> Option<Vec<u8>> {
        let keys = self.0.load();
        let mut bytes = sealed.to_vec();
        let length = keys
            .named(id)?
            .record_key(digest)
            .open_in_place(
                aead::Nonce::assume_unique_for_key(nonce),
                header(version, id),
                &mut bytes,
            )
            .ok()?
            .len();
        bytes.truncate(length);
        Some(bytes)
    }
}

/// What a sealed record begins with, in the clear.
fn header(version: u8, id: KeyId) -> aead::Aad<[u8; 1 + KEY_ID_LENGTH]> {
    let [one, two] = id;
    aead::Aad::from([version, one, two])
}

impl Keys {
    fn derive(first: &SecretKey, others: &[SecretKey]) -> Self {
        Self {
            first: Key::derive(first),
            others: others.iter().map(Key::derive).collect(),
        }
    }

    fn each(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn named(&self, id: KeyId) -> Option<&Key> {
        self.each().find(|key| key.id == id)
    }
}

impl Key {
    fn derive(secret: &SecretKey) -> Self {
        let root = secret.root();
        let bytes = |purpose: &[u8]| {
            let mut bytes = Zeroizing::new([0; 32]);
            expand(&root, purpose, &mut *bytes);
            bytes
        };
        let mac_key = |purpose: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, &*bytes(purpose));
        Self {
            id: secret.id(),
            token: mac_key(b"token"),
            signal: mac_key(b"signal"),
            device: mac_key(b"device"),
            record: mac_key(b"record"),
            jwt: SigningKey::ed25519(&bytes(b"jwt")),
        }
    }

    fn mac(&self, purpose: Purpose, message: &[u8]) -> [u8; MAC_LENGTH] {
        let key = match purpose {
            Purpose::Token => &self.token,
            Purpose::Signal => &self.signal,
            Purpose::Device => &self.device,
        };
        let mut mac = [0; MAC_LENGTH];
        mac.copy_from_slice(&hmac::sign(key, message).as_ref()[..MAC_LENGTH]);
        mac
    }

    fn record_key(&self, digest: &TokenDigest) -> LessSafeKey {
        let key = hmac::sign(&self.record, digest.as_bytes());
        let key = UnboundKey::new(&aead::CHACHA20_POLY1305, key.as_ref())
            .unwrap_or_else(|_| unreachable!("HMAC-SHA-256 gives the 32 bytes of a ChaCha20 key"));
        LessSafeKey::new(key)
    }
}

fn expand(root: &hkdf::Prk, purpose: &[u8], into: &mut [u8]) {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    root.expand(&[purpose], Length(into.len()))
        .and_then(|material| material.fill(into))
        .unwrap_or_else(|_| unreachable!("HKDF-SHA-256 expands to far more than 32 bytes"));
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key that passes for random; `seed` tells it from others.
    pub(crate) fn key(seed: u8) -> SecretKey {
        let bytes: Vec<u8> = (0u8..64).map(|i| i.wrapping_mul(37) ^ seed).collect();
        SecretKey::parse(&bytes).unwrap()
    }

    fn digest(byte: u8) -> TokenDigest {
        TokenDigest::from_bytes([byte; 32])
    }

    #[test]
    fn keys_that_are_not_random_are_refused() {
        assert_eq!(
            SecretKey::parse(&[7; 32]).err(),
            Some(InvalidKey::WrongLength(32))
        );
        assert_eq!(
            SecretKey::parse(&[7; 64]).err(),
            Some(InvalidKey::NotRandom)
        );
        let typed = b"correct horse battery staple 0123456789 ABCDEFGHIJKLMNOPQRSTUVWX";
        assert_eq!(SecretKey::parse(typed).err(), Some(InvalidKey::NotRandom));
    }

    #[test]
    fn a_record_opens_only_under_its_own_digest_key_and_version() {
        let ring = KeyRing::new(&key(1), &[]);
        let nonce = [9; NONCE_LENGTH];
        let (id, sealed) = ring.seal(&digest(1), 1, nonce, b"record");
        let opened = ring.open(id, &digest(1), 1, nonce, &sealed);

        assert_eq!(opened.as_deref(), Some(&b"record"[..]));
        assert_eq!(ring.open(id, &digest(2), 1, nonce, &sealed), None);
        assert_eq!(ring.open(id, &digest(1), 2, nonce, &sealed), None);
        assert_eq!(ring.open(id, &digest(1), 1, [8; 12], &sealed), None);
        assert_eq!(ring.open(id, &digest(1), 1, nonce, &sealed[1..]), None);
        let other = KeyRing::new(&key(2), &[]);
        assert_eq!(other.open(id, &digest(1), 1, nonce, &sealed), None);
        let both = KeyRing::new(&key(2), &[key(1)]);
        let (other_id, _) = other.seal(&digest(1), 1, nonce, b"record");
        assert_eq!(both.open(other_id, &digest(1), 1, nonce, &sealed), None);
    }

    #[test]
    fn the_first_key_signs_and_every_key_verifies() {
        let before = KeyRing::new(&key(1), &[]);
        let rotated = KeyRing::new(&key(2), &[key(1)]);
        let (id, mac) = before.sign(Purpose::Token, b"message");

        assert!(rotated.verify(Purpose::Token, id, b"message", &mac));
        assert!(!rotated.verify(Purpose::Token, id, b"massage", &mac));
        assert!(!rotated.verify(Purpose::Signal, id, b"message", &mac));
        let (id, mac) = rotated.sign(Purpose::Token, b"message");
        assert!(!before.verify(Purpose::Token, id, b"message", &mac));
    }

    #[test]
    fn a_ring_is_rotated_while_it_is_used() {
        let ring = KeyRing::new(&key(1), &[]);
        let (old, mac) = ring.sign(Purpose::Token, b"message");
        let is_valid = || ring.verify(Purpose::Token, old, b"message", &mac);

        ring.replace(&key(1), &[key(2)]);
        assert_eq!(ring.sign(Purpose::Token, b"message"), (old, mac));
        ring.replace(&key(2), &[key(1)]);
        let (new, _) = ring.sign(Purpose::Token, b"message");
        assert_ne!(old, new);
        assert!(is_valid() && ring.has(old) && ring.has(new));
        ring.replace(&key(2), &[]);
        assert!(!is_valid() && !ring.has(old) && ring.has(new));
    }

    /// A record that says it was sealed with one key, and was with another, would
    /// open for nobody.
    #[test]
    fn what_is_made_while_keys_change_is_made_with_one_of_them() {
        let ring = KeyRing::new(&key(1), &[key(2)]);
        std::thread::scope(|scope| {
            let rotating = scope.spawn(|| {
                for round in 0..500u16 {
                    let (first, other) = if round % 2 == 0 { (2, 1) } else { (1, 2) };
                    ring.replace(&key(first), &[key(other)]);
                }
            });
            let nonce = [9; NONCE_LENGTH];
            while !rotating.is_finished() {
                let (id, mac) = ring.sign(Purpose::Signal, b"message");
                assert!(ring.verify(Purpose::Signal, id, b"message", &mac));
                let (id, sealed) = ring.seal(&digest(1), 1, nonce, b"record");
                assert!(ring.open(id, &digest(1), 1, nonce, &sealed).is_some());
            }
        });
    }

    #[test]
    fn a_fingerprint_tells_keys_apart_and_shows_none_of_one() {
        let secret = key(1);
        let shown = secret.fingerprint().to_string();
        assert_eq!(shown, key(1).fingerprint().to_string());
        assert_ne!(shown, key(2).fingerprint().to_string());
        assert_eq!(shown.len(), 16);
        let (id, _) = KeyRing::new(&secret, &[]).sign(Purpose::Token, b"");
        assert!(shown.starts_with(&format!("{:02x}{:02x}", id[0], id[1])));
        assert!(SecretKey::are_distinct(&[key(1), key(2)]));
        assert!(!SecretKey::are_distinct(&[key(1), key(2), key(1)]));
    }
}
