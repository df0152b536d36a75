//! The key ring: the first key signs and seals, every key verifies and opens,
//! so that keys are rotated without ending a session.

use ring::aead::{self, LessSafeKey, UnboundKey};
use ring::hkdf;
use ring::hmac;
use zeroize::Zeroizing;

use crate::domain::digest::TokenDigest;

/// Length in bytes of a secret key, of the random part of a nonce, and of the
/// two values that bind what a key made to that key.
pub const KEY_LENGTH: usize = 64;
pub const NONCE_LENGTH: usize = 12;
pub const KEY_ID_LENGTH: usize = 2;
pub const MAC_LENGTH: usize = 16;

/// Names a key without telling anything of it. Two keys may share an id; then
/// both are tried.
pub type KeyId = [u8; KEY_ID_LENGTH];

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
}

/// The keys of a deployment, derived for their uses (HKDF, RFC 5869).
pub struct KeyRing {
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
}

impl KeyRing {
    #[must_use]
    pub fn new(first: &SecretKey, others: &[SecretKey]) -> Self {
        Self {
            first: Key::derive(first),
            others: others.iter().map(Key::derive).collect(),
        }
    }

    /// The id of the key that signs, and its signature of `message`.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, message: &[u8]) -> (KeyId, [u8; MAC_LENGTH]) {
        let signature = hmac::sign(self.first.mac_key(purpose), message);
        let mut mac = [0; MAC_LENGTH];
        mac.copy_from_slice(&signature.as_ref()[..MAC_LENGTH]);
        (self.first.id, mac)
    }

    /// Whether a key of that id made `mac` for `message` and that purpose; in
    /// constant time.
    #[must_use]
    pub fn verify(&self, purpose: Purpose, id: KeyId, message: &[u8], mac: &[u8]) -> bool {
        self.with_id(id).any(|key| {
            let expected = hmac::sign(key.mac_key(purpose), message);
            bool::from(subtle::ConstantTimeEq::ct_eq(
                &expected.as_ref()[..MAC_LENGTH],
                mac,
            ))
        })
    }

    /// Encrypts a record (ChaCha20-Poly1305, RFC 8439) so that it opens only
    /// under the digest it was sealed for, and only with `header` unchanged.
    /// Each digest has a key of its own, so a random nonce per record is safe
    /// for any number of records.
    #[must_use]
    pub fn seal(
        &self,
        digest: &TokenDigest,
        header: &[u8],
        nonce: [u8; NONCE_LENGTH],
        plaintext: &[u8],
    ) -> Vec<u8> {
        let mut sealed = plaintext.to_vec();
        self.first
            .record_key(digest)
            .seal_in_place_append_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(header),
                &mut sealed,
            )
            .unwrap_or_else(|_| unreachable!("a record is far shorter than 256 GiB"));
        sealed
    }

    /// Decrypts what [`KeyRing::seal`] made; `None` for anything else.
    #[must_use]
    pub fn open(
        &self,
        id: KeyId,
        digest: &TokenDigest,
        header: &[u8],
        nonce: [u8; NONCE_LENGTH],
        sealed: &[u8],
    ) -> Option<Vec<u8>> {
        self.with_id(id).find_map(|key| {
            let mut bytes = sealed.to_vec();
            let length = key
                .record_key(digest)
                .open_in_place(
                    aead::Nonce::assume_unique_for_key(nonce),
                    aead::Aad::from(header),
                    &mut bytes,
                )
                .ok()?
                .len();
            bytes.truncate(length);
            Some(bytes)
        })
    }

    /// The id of the key that signs and seals.
    #[must_use]
    pub const fn first_id(&self) -> KeyId {
        self.first.id
    }

    fn with_id(&self, id: KeyId) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first)
            .chain(&self.others)
            .filter(move |key| key.id == id)
    }
}

impl Key {
    fn derive(secret: &SecretKey) -> Self {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"gatelodge").extract(&*secret.0);
        let mac_key = |purpose: &[u8]| {
            let mut bytes = Zeroizing::new([0; 32]);
            expand(&root, purpose, &mut *bytes);
            hmac::Key::new(hmac::HMAC_SHA256, &*bytes)
        };
        let mut id = KeyId::default();
        expand(&root, b"key id", &mut id);
        Self {
            id,
            token: mac_key(b"token"),
            signal: mac_key(b"signal"),
            device: mac_key(b"device"),
            record: mac_key(b"record"),
        }
    }

    const fn mac_key(&self, purpose: Purpose) -> &hmac::Key {
        match purpose {
            Purpose::Token => &self.token,
            Purpose::Signal => &self.signal,
            Purpose::Device => &self.device,
        }
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
    fn a_record_opens_only_under_its_own_digest_key_and_header() {
        let ring = KeyRing::new(&key(1), &[]);
        let nonce = [9; NONCE_LENGTH];
        let sealed = ring.seal(&digest(1), b"header", nonce, b"record");
        let id = ring.first_id();

        assert_eq!(
            ring.open(id, &digest(1), b"header", nonce, &sealed)
                .as_deref(),
            Some(&b"record"[..])
        );
        assert_eq!(ring.open(id, &digest(2), b"header", nonce, &sealed), None);
        assert_eq!(ring.open(id, &digest(1), b"Header", nonce, &sealed), None);
        assert_eq!(ring.open(id, &digest(1), b"header", [8; 12], &sealed), None);
        assert_eq!(
            ring.open(id, &digest(1), b"header", nonce, &sealed[1..]),
            None
        );
        let other = KeyRing::new(&key(2), &[]);
        assert_eq!(other.open(id, &digest(1), b"header", nonce, &sealed), None);
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
}
