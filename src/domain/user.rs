//! Users and what they are called.

use std::fmt;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

use crate::domain::email::Email;
use crate::domain::id::UserId;
use crate::domain::password::PasswordHash;
use crate::domain::text;
use crate::domain::time::Timestamp;

/// A user as others may see it: no credential in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    pub id: UserId,
    pub email: Email,
    pub name: UserName,
    pub role: Role,
    pub status: Status,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    User,
    Admin,
}

impl Role {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Active,
    Locked,
}

impl Status {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Locked => "locked",
        }
    }
}

/// Counts the changes of what a user logs in with. A session is issued only if
/// the version that was verified is still the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialVersion(pub i64);

/// A user together with what a log-in is verified against.
#[derive(Debug)]
pub struct Credentials {
    pub user: User,
    /// `None` until an invited user has chosen a password.
    pub password_hash: Option<PasswordHash>,
    pub version: CredentialVersion,
}

const MAX_NAME_LENGTH: usize = 100;

/// What a user wants to be called: NFC, trimmed, 1 to 100 code points, with
/// nothing in it that could forge a log line, a header or the look of a page.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct UserName(String);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("must not be empty")]
    Empty,
    #[error("must be at most {MAX_NAME_LENGTH} characters long")]
    TooLong,
    #[error("must not contain control or text-direction characters")]
    ControlCharacter,
}

impl UserName {
    /// # Errors
    /// Says what is wrong with `text`, in words fit for a user.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.len() > 16 * MAX_NAME_LENGTH {
            return Err(InvalidName::TooLong);
        }
        let name: String = text.trim().nfc().collect();
        if name.is_empty() {
            return Err(InvalidName::Empty);
        }
        if name.chars().any(text::is_deceptive) {
            return Err(InvalidName::ControlCharacter);
        }
        if name.chars().count() > MAX_NAME_LENGTH {
            return Err(InvalidName::TooLong);
        }
        Ok(Self(name))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Personal data: logs name users by id.
impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserName(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_world_are_accepted() {
        for name in [
            "Al",
            "Ada Lovelace",
            "Nguyễn Thị Minh Khai",
            "عائشة",
            "X Æ A-12",
            "👩‍🚀",
        ] {
            assert_eq!(UserName::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(UserName::parse("  Ada ").unwrap().as_str(), "Ada");
    }

    #[test]
    fn names_that_could_deceive_are_refused() {
        for name in [
            "a\u{0}b",
            "a\nb",
            "a\u{1b}[31mb",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{61c}b",
            "\u{3164}",
        ] {
            assert_eq!(
                UserName::parse(name),
                Err(InvalidName::ControlCharacter),
                "{name:?}"
            );
        }
    }

    #[test]
    fn length_is_counted_in_code_points() {
        assert!(UserName::parse(&"é".repeat(100)).is_ok());
        assert_eq!(UserName::parse(&"é".repeat(101)), Err(InvalidName::TooLong));
        assert_eq!(UserName::parse("   "), Err(InvalidName::Empty));
    }
}
