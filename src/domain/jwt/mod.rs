//! JWTs (RFC 7519), signed in the compact form (RFC 7515): those minted from our
//! sessions, and those of a system that is left. Follows RFC 8725, best practices for them.
//!
//! An algorithm belongs to a key, never to a token. Whatever a token says of itself is
//! compared with what is known, and used for nothing else: not to find a key elsewhere
//! (`jku`, `x5u`), not to bring one along (`jwk`, `x5c`), not to read a file (`kid`).

mod claims;
mod jwk;
mod pem;
mod session;
mod signing;
mod template;
mod verifying;

use base64::alphabet::URL_SAFE;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;

pub use claims::{Audience, Expected, LEEWAY, NumericDate};
pub use jwk::{Jwk, JwkSet};
pub use pem::PemKeys;
pub use session::SessionClaims;
pub use signing::{InvalidSigningKey, SigningKey};
pub use template::{
    Addition, InvalidStringOrUri, InvalidTemplateName, MAX_LIFETIME, MIN_LIFETIME, StringOrUri,
    Template, TemplateName,
};
#[cfg(test)]
pub(crate) use verifying::tests::signed_by;
pub use verifying::{Authentic, Refused, VerifyingKeys};

/// A longer one is not looked at, in bytes.
pub const MAX_LENGTH: usize = 8 * 1024;

/// The type of ours. Some decoders take no other (RFC 7519, 5.1).
pub const TYPE: &str = "JWT";

/// As parts of tokens and members of keys are written (RFC 7515, 2); one way only.
const BASE64: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, NO_PAD);

/// How signatures are made (RFC 7518, 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    Es256,
    Rs256,
    /// Whoever verifies can sign, too: known of other systems only.
    Hs256,
}

impl Algorithm {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }
}
