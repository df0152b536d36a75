//! What another service shows to be let in, as a bearer token (RFC 6750).

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

/// In bytes: what nobody guesses.
const MIN_LENGTH: usize = 32;

/// Known by its SHA-256 alone, so that two can be compared without a word of either.
#[derive(Clone)]
pub struct ServiceCredential([u8; 32]);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "at least 32 letters, digits and -._~+/ (= at the end), such as `openssl rand -hex 32` prints"
)]
pub struct InvalidCredential;

impl ServiceCredential {
    /// # Errors
    /// If `text` is too short, or no token that a header can carry (RFC 6750, 2.1).
    pub fn parse(text: &str) -> Result<Self, InvalidCredential> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let token = text.trim_end_matches('=');
        if text.len() < MIN_LENGTH || token.is_empty() || !token.bytes().all(is_allowed) {
            return Err(InvalidCredential);
        }
        Ok(Self(digest_of(text.as_bytes())))
    }

    /// Whether it is this that was shown. Takes as long whatever it was (ASVS 11.2.4).
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        self.0.ct_eq(&digest_of(shown)).into()
    }
}

fn digest_of(token: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, token).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_long_and_fits_a_header() {
        let long = "abcDEF012-._~+/abcDEF012-._~+/ab";
        let credential = ServiceCredential::parse(long).unwrap();
        assert!(credential.is(long.as_bytes()));
        assert!(!credential.is(&long.as_bytes()[..31]));
        assert!(!credential.is(format!("{long}a").as_bytes()));
        assert!(ServiceCredential::parse(&format!("{long}==")).is_ok());
        for text in [
            "",
            &long[..31],
            &"=".repeat(40),
            &format!("{long} "),
            &format!("=a{long}"),
        ] {
            assert!(ServiceCredential::parse(text).is_err(), "{text:?}");
        }
    }
}
