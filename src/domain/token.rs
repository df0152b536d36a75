//! The secret in the cookie.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::domain::digest::TokenDigest;
use crate::domain::keys::{KEY_ID_LENGTH, KeyId, KeyRing, MAC_LENGTH, Purpose};

const VERSION: u8 = 1;
const HEADER_LENGTH: usize = 1 + KEY_ID_LENGTH;
const SECRET_LENGTH: usize = 32;
const LENGTH: usize = HEADER_LENGTH + SECRET_LENGTH + MAC_LENGTH;
const TEXT_LENGTH: usize = LENGTH / 3 * 4;

/// A session token: 256 random bits (ASVS 7.2.3 asks for 128), signed with the
/// key ring, so that a forged one is refused without any look-up.
///
/// `version (1) ‖ key id (2) ‖ secret (32) ‖ MAC (16)`, 51 bytes, which make
/// exactly 68 characters of base64url: no padding and no spare bits, hence one
/// spelling only.
///
/// It goes to the cookie and nowhere else; it has no `Debug`, `Display` or
/// `Serialize`.
///
/// ```compile_fail
/// fn print(token: &gatelodge::domain::token::Token) { println!("{token:?}"); }
/// ```
/// ```compile_fail
/// fn print(token: &gatelodge::domain::token::Token) { println!("{token}"); }
/// ```
pub struct Token(Zeroizing<[u8; LENGTH]>);

/// What a cookie's value says to be a token: of its form, but maybe forged.
pub struct Claim(Token);

impl Claim {
    /// `None` for what cannot be a token.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        if value.len() != TEXT_LENGTH {
            return None;
        }
        let mut bytes = Zeroizing::new([0; LENGTH]);
        URL_SAFE_NO_PAD.decode_slice(value, &mut *bytes).ok()?;
        (bytes[0] == VERSION).then_some(Self(Token(bytes)))
    }

    /// The digest of the token it says to be. Whoever knows one that is equal to a
    /// genuine token's knows that token, to the last bit.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        self.0.digest()
    }

    /// Whether the key that it says has made it is on the ring.
    #[must_use]
    pub fn has_key_of(&self, keys: &KeyRing) -> bool {
        keys.has(self.key_id())
    }

    /// Whether a key of the ring has made it.
    #[must_use]
    pub fn is_genuine(&self, keys: &KeyRing) -> bool {
        let Token(bytes) = &self.0;
        keys.verify(
            Purpose::Token,
            self.key_id(),
            &bytes[HEADER_LENGTH..LENGTH - MAC_LENGTH],
            &bytes[LENGTH - MAC_LENGTH..],
        )
    }

    fn key_id(&self) -> KeyId {
        let Token(bytes) = &self.0;
        [bytes[1], bytes[2]]
    }

    /// The token, if it is genuine.
    #[must_use]
    pub fn verify(self, keys: &KeyRing) -> Option<Token> {
        self.is_genuine(keys).then_some(self.0)
    }
}

impl Token {
    /// A new token. `secret` must be random.
    #[must_use]
    pub fn mint(secret: &Zeroizing<[u8; SECRET_LENGTH]>, keys: &KeyRing) -> Self {
        let (key_id, mac) = keys.sign(Purpose::Token, &**secret);
        let mut bytes = Zeroizing::new([0; LENGTH]);
        bytes[0] = VERSION;
        bytes[1..HEADER_LENGTH].copy_from_slice(&key_id);
        bytes[HEADER_LENGTH..LENGTH - MAC_LENGTH].copy_from_slice(&**secret);
        bytes[LENGTH - MAC_LENGTH..].copy_from_slice(&mac);
        Self(bytes)
    }

    /// The token in a cookie's value; `None` if no key of the ring made it.
    #[must_use]
    pub fn verify(value: &[u8], keys: &KeyRing) -> Option<Self> {
        Claim::parse(value)?.verify(keys)
    }

    /// The cookie's value.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(*self.0))
    }

    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, &*self.0).as_ref());
        TokenDigest::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::tests::key;

    fn ring() -> KeyRing {
        KeyRing::new(&key(1), &[])
    }

    fn mint(byte: u8) -> Token {
        Token::mint(&Zeroizing::new([byte; SECRET_LENGTH]), &ring())
    }

    #[test]
    fn a_token_survives_the_way_through_the_cookie() {
        let token = mint(7);
        let value = token.expose();
        let read = Token::verify(value.as_bytes(), &ring()).unwrap();
        assert_eq!(read.digest(), token.digest());
        assert_ne!(read.digest(), mint(8).digest());
    }

    #[test]
    fn every_changed_dropped_added_or_recased_character_is_refused() {
        let token = mint(7);
        let value = token.expose();
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for position in 0..value.len() {
            for replacement in alphabet.iter().chain(b"=%+/ \0\xff") {
                let mut forged = value.as_bytes().to_vec();
                if forged[position] == *replacement {
                    continue;
                }
                forged[position] = *replacement;
                assert!(Token::verify(&forged, &ring()).is_none(), "{position}");
                let claim = Claim::parse(&forged).map(|claim| claim.digest());
                assert_ne!(claim, Some(token.digest()), "{position}");
            }
            let mut dropped = value.as_bytes().to_vec();
            dropped.remove(position);
            assert!(Token::verify(&dropped, &ring()).is_none());
            let mut added = value.as_bytes().to_vec();
            added.insert(position, b'A');
            assert!(Token::verify(&added, &ring()).is_none());
        }
    }

    #[test]
    fn a_token_of_another_ring_is_refused() {
        let other = KeyRing::new(&key(2), &[]);
        assert!(Token::verify(mint(7).expose().as_bytes(), &other).is_none());
    }

    /// A fuzz target.
    #[test]
    fn whatever_is_read_as_a_claim_is_written_as_it_was_and_none_is_genuine() {
        let keys = ring();
        bolero::check!()
            .with_type::<([u8; LENGTH], Vec<u8>)>()
            .for_each(|(bytes, text)| {
                let mut versioned = *bytes;
                versioned[0] %= 2;
                let spelled = URL_SAFE_NO_PAD.encode(versioned);
                for value in [spelled.as_bytes(), text] {
                    if let Some(claim) = Claim::parse(value) {
                        assert_eq!(claim.0.expose().as_bytes(), value);
                        assert!(!claim.is_genuine(&keys));
                    }
                }
                let is_read = Claim::parse(spelled.as_bytes()).is_some();
                assert_eq!(is_read, versioned[0] == VERSION);
            });
    }
}
