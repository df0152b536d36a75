//! The digest by which everything but the cookie knows a session. A type of its
//! own, so that neither it nor the token can be taken for the other.

use std::fmt;

/// SHA-256 of a token, all of it: what the stores know a session by. It opens
/// nothing, and its `Debug` tells nothing but its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_does_not_print() {
        let digest = TokenDigest::from_bytes([7; 32]);
        assert_eq!(format!("{digest:?}"), "TokenDigest(…)");
    }
}
