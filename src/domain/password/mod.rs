//! Passwords: what one is, which can be set, and the schemes they are stored in.
//! Pure work on the CPU: callers hash and verify off the threads that serve requests.

mod bcrypt;
mod common;
mod derived;
mod hash;
mod policy;
mod scheme;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

pub use self::bcrypt::{Cost, spin};
pub use hash::PasswordHash;
pub use policy::{NewPassword, Owner, PasswordPolicy};
pub use scheme::{InvalidHash, Scheme};

/// Bytes after normalisation (NIST SP 800-63B-4 asks for at least 64 characters).
const MAX_LENGTH: usize = 1024;

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
    #[error("is among the most common passwords, which are tried first; choose another")]
    Common,
    #[error("must not be your name or e-mail address; choose another")]
    OfOwner,
    #[error("must not be the name of this service; choose another")]
    OfService,
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
