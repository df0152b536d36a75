//! Passwords and the scheme they are stored in. Pure work on the CPU: callers
//! run `hash` and `verify` off the threads that serve requests.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Bytes after normalisation (NIST SP 800-63B-4 asks for at least 64 characters).
const MAX_LENGTH: usize = 1024;
pub const SALT_LENGTH: usize = 16;

/// A password as somebody typed it, in NFC (NIST SP 800-63B-4, 3.1.1.2).
/// It has no `Debug`, `Display` or `Serialize`, and is wiped when dropped.
///
/// ```compile_fail
/// fn print(password: &gatelodge::domain::password::Password) { println!("{password:?}"); }
/// ```
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    #[error("must not be empty")]
    Empty,
    #[error("must be at least {0} characters long; a few words make a good one")]
    TooShort(usize),
    #[error("must be at most {MAX_LENGTH} bytes long")]
    TooLong,
}

impl Password {
    /// # Errors
    /// Refuses what no password of ours can be, before any work is spent on it.
    pub fn parse(text: &str) -> Result<Self, InvalidPassword> {
        if text.is_empty() {
            return Err(InvalidPassword::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(InvalidPassword::TooLong);
        }
        let mut normalised = Zeroizing::new(String::with_capacity(4 * text.len()));
        normalised.extend(text.nfc());
        if normalised.len() > MAX_LENGTH {
            return Err(InvalidPassword::TooLong);
        }
        Ok(Self(normalised))
    }
}

/// A password good enough to be set.
pub struct NewPassword(Password);

impl NewPassword {
    /// # Errors
    /// Refuses fewer than `min_length` code points (ASVS 6.2.1, 6.2.9: no other
    /// rule about what a password is made of).
    pub fn parse(text: &str, min_length: usize) -> Result<Self, InvalidPassword> {
        let password = Password::parse(text)?;
        if password.0.chars().count() < min_length {
            return Err(InvalidPassword::TooShort(min_length));
        }
        Ok(Self(password))
    }

    #[must_use]
    pub const fn as_password(&self) -> &Password {
        &self.0
    }
}

/// bcrypt's work factor: 2^cost rounds, cost 4 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost(u32);

impl Cost {
    #[must_use]
    pub const fn new(cost: u32) -> Option<Self> {
        match cost {
            4..=31 => Some(Self(cost)),
            _ => None,
        }
    }

    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A stored password: `bcrypt(base64(HMAC-SHA-256(salt, password)))`, written
/// as passlib writes it, `$bcrypt-sha256$v=2,t=2b,r=<cost>$<salt>$<checksum>`.
/// The HMAC makes the input 44 bytes whatever the password's length, so bcrypt's
/// cut at 72 bytes and its end at NUL never matter; its key is the salt, so that
/// nothing hashed elsewhere can be tried here.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes the work of one bcrypt hash of that cost. `salt` must be random.
    #[must_use]
    pub fn of(password: &Password, cost: Cost, salt: [u8; SALT_LENGTH]) -> Self {
        let salt_text = bcrypt::BASE_64.encode(salt);
        let raw = bcrypt::bcrypt(cost.get(), salt, &prehash(password, &salt_text));
        let checksum = bcrypt::BASE_64.encode(&raw[..CHECKSUM_LENGTH]);
        Self(format!("{TAG}{}${salt_text}${checksum}", cost.get()))
    }

    /// A hash that no password matches, for accounts that do not exist: it
    /// takes as long to verify as a real one.
    #[must_use]
    pub fn of_nobody(cost: Cost) -> Self {
        let salt_text = bcrypt::BASE_64.encode([0; SALT_LENGTH]);
        let checksum = bcrypt::BASE_64.encode([0; CHECKSUM_LENGTH]);
        Self(format!("{TAG}{}${salt_text}${checksum}", cost.get()))
    }

    /// Takes the work of one bcrypt hash of the stored cost.
    ///
    /// # Errors
    /// If what is stored is no hash of this scheme.
    pub fn verify(&self, password: &Password) -> Result<bool, UnknownScheme> {
        let (cost, salt_text, checksum) = self.parts().ok_or(UnknownScheme)?;
        let salt: [u8; SALT_LENGTH] = bcrypt::BASE_64
            .decode(salt_text)
            .ok()
            .and_then(|salt| salt.try_into().ok())
            .ok_or(UnknownScheme)?;
        let expected = bcrypt::BASE_64
            .decode(checksum)
            .map_err(|_| UnknownScheme)?;
        let actual = bcrypt::bcrypt(cost.get(), salt, &prehash(password, salt_text));
        Ok(subtle::ConstantTimeEq::ct_eq(&actual[..CHECKSUM_LENGTH], expected.as_slice()).into())
    }

    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// What the ledger stores.
    #[must_use]
    pub fn as_stored(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> Option<(Cost, &str, &str)> {
        let mut parts = self.0.strip_prefix(TAG)?.split('$');
        let cost = Cost::new(parts.next()?.parse().ok()?)?;
        let (salt, checksum) = (parts.next()?, parts.next()?);
        parts.next().is_none().then_some((cost, salt, checksum))
    }
}

const TAG: &str = "$bcrypt-sha256$v=2,t=2b,r=";
const CHECKSUM_LENGTH: usize = 23;

#[derive(Debug, thiserror::Error)]
#[error("the stored password hash is of a scheme this version does not know")]
pub struct UnknownScheme;

/// bcrypt's input ends at the first NUL, so it is given one after the base64
/// text, as every implementation of `$2b$` does.
fn prehash(password: &Password, salt_text: &str) -> Zeroizing<Vec<u8>> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, salt_text.as_bytes());
    let mac = hmac::sign(&key, password.0.as_bytes());
    let mut text = Zeroizing::new(STANDARD.encode(mac.as_ref()).into_bytes());
    text.push(0);
    text
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Cost = Cost(4);

    fn hash(password: &str) -> PasswordHash {
        PasswordHash::of(
            &Password::parse(password).unwrap(),
            COST,
            *b"0123456789abcdef",
        )
    }

    fn opens(hash: &PasswordHash, password: &str) -> bool {
        hash.verify(&Password::parse(password).unwrap()).unwrap()
    }

    #[test]
    fn only_the_password_opens_its_hash() {
        let stored = hash("correct horse battery");
        assert!(opens(&stored, "correct horse battery"));
        assert!(!opens(&stored, "correct horse batterz"));
        assert!(!opens(&stored, "correct horse battery "));
    }

    #[test]
    fn hashes_made_by_passlib_verify() {
        for (password, stored) in [
            (
                "password".to_owned(),
                "$bcrypt-sha256$v=2,t=2b,r=4$T1qzdJQ9JksLxaUwULiyYe$/uzC0EwUiBqz3dGCGy31/8o8dYOJwuy",
            ),
            (
                "correct horse battery staple ".repeat(6),
                "$bcrypt-sha256$v=2,t=2b,r=4$fnl05Njpj.0EDaoxVLfVq.$/oWJUjKHlu0KKtiVxgQRItJkelL4sKm",
            ),
            (
                "caf\u{e9} 🦊".to_owned(),
                "$bcrypt-sha256$v=2,t=2b,r=4$BdLrlLjALofrizHCtfvw3.$beZczHkwAFxEXdPeKhjT0gmsP4CQDKi",
            ),
        ] {
            assert!(opens(
                &PasswordHash::from_stored(stored.to_owned()),
                &password
            ));
        }
    }

    #[test]
    fn bytes_after_the_72nd_and_after_nul_count() {
        let long = "a".repeat(72);
        assert!(!opens(&hash(&format!("{long}b")), &format!("{long}c")));
        assert!(!opens(&hash("secret\0one"), "secret\0two"));
        assert!(!opens(&hash("P"), "P\0P"));
        let emoji = "🦊".repeat(24);
        assert!(!opens(&hash(&emoji), &"🦊".repeat(23)));
    }

    #[test]
    fn spellings_of_one_text_are_one_password() {
        assert!(opens(&hash("e\u{301}clair"), "\u{e9}clair"));
    }

    #[test]
    fn nobody_has_a_password() {
        assert!(!opens(&PasswordHash::of_nobody(COST), "password"));
    }

    #[test]
    fn a_hash_of_another_scheme_is_an_error() {
        for stored in [
            "",
            "plain",
            "$2b$12$abc",
            "$bcrypt-sha256$v=2,t=2b,r=99$a$b",
        ] {
            let hash = PasswordHash::from_stored(stored.to_owned());
            assert!(hash.verify(&Password::parse("x").unwrap()).is_err());
        }
    }

    #[test]
    fn a_new_password_is_measured_in_code_points() {
        assert!(NewPassword::parse(&"🦊".repeat(15), 15).is_ok());
        assert!(matches!(
            NewPassword::parse(&"🦊".repeat(14), 15),
            Err(InvalidPassword::TooShort(15))
        ));
        assert!(NewPassword::parse(&"a".repeat(1024), 15).is_ok());
        assert!(matches!(
            NewPassword::parse(&"a".repeat(1025), 15),
            Err(InvalidPassword::TooLong)
        ));
    }
}
