//! Links that set a password, once: the invitation, the reset, and the setup of
//! the first admin are all of this kind.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// How long a link can be used (NIST SP 800-63B-4, 4.2.1.1; ASVS 6.4.1).
pub const LINK_LIFETIME: Duration = Duration::from_hours(1);

const LENGTH: usize = 32;

/// The secret in a link: 256 random bits. It goes to whoever shall set the
/// password, and nowhere else; it has no `Debug`, `Display` or `Serialize`.
///
/// ```compile_fail
/// fn print(token: &gatelodge::domain::link::LinkToken) { println!("{token:?}"); }
/// ```
pub struct LinkToken(Zeroizing<[u8; LENGTH]>);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no link's, or the link was used, replaced, or is over an hour old; ask for a new one")]
pub struct InvalidLink;

impl LinkToken {
    /// A new token. `secret` must be random.
    #[must_use]
    pub const fn new(secret: Zeroizing<[u8; LENGTH]>) -> Self {
        Self(secret)
    }

    /// # Errors
    /// If no link has it.
    pub fn parse(text: &str) -> Result<Self, InvalidLink> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        match URL_SAFE_NO_PAD.decode_slice(text, &mut *bytes) {
            Ok(LENGTH) => Ok(Self(bytes)),
            _ => Err(InvalidLink),
        }
    }

    /// As it stands in the link.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(*self.0))
    }

    #[must_use]
    pub fn digest(&self) -> LinkDigest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, &*self.0).as_ref());
        LinkDigest(bytes)
    }
}

/// What the ledger knows a link by. It opens nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LinkDigest([u8; 32]);

impl LinkDigest {
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for LinkDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = LinkToken::new(Zeroizing::new([7; LENGTH]));
        let again = LinkToken::parse(&token.expose()).unwrap();
        assert_eq!(again.digest(), token.digest());
        let text = token.expose();
        for wrong in ["", &text[1..], &format!("{}A", &*text), "%%"] {
            assert!(LinkToken::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
