//! Users and what they are called.

use std::fmt;

use serde::{Serialize, Serializer};
use smol_str::SmolStr;

use crate::domain::email::Email;
use crate::domain::id::UserId;
use crate::domain::password::PasswordHash;
use crate::domain::text::{InvalidLine, one_line};
use crate::domain::time::Timestamp;

/// A user as others may see it: no credential in it.
#[derive(Clone, Debug, PartialEq, Eq)]
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

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be user or admin")]
pub struct UnknownRole;

impl Role {
    /// # Errors
    /// If there is no role of that name.
    pub fn parse(name: &str) -> Result<Self, UnknownRole> {
        match name {
            "user" => Ok(Self::User),
            "admin" => Ok(Self::Admin),
            _ => Err(UnknownRole),
        }
    }

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

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be active or locked")]
pub struct UnknownStatus;

impl Status {
    /// # Errors
    /// If there is no status of that name.
    pub fn parse(name: &str) -> Result<Self, UnknownStatus> {
        match name {
            "active" => Ok(Self::Active),
            "locked" => Ok(Self::Locked),
            _ => Err(UnknownStatus),
        }
    }

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

impl CredentialVersion {
    /// A new user's.
    pub const FIRST: Self = Self(1);

    /// After one more change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A user together with what a log-in is verified against.
#[derive(Debug)]
pub struct Credentials {
    pub user: User,
    /// `None` until an invited user has chosen a password.
    pub password_hash: Option<PasswordHash>,
    pub version: CredentialVersion,
}

impl Credentials {
    /// Whether the user can log in and is an admin.
    #[must_use]
    pub fn can_administer(&self) -> bool {
        self.user.role == Role::Admin
            && self.user.status == Status::Active
            && self.password_hash.is_some()
    }
}

const MAX_NAME_LENGTH: usize = 100;

/// What a user wants to be called, in one line of 1 to 100 code points.
#[derive(Clone, PartialEq, Eq)]
pub struct UserName(SmolStr);

impl UserName {
    /// # Errors
    /// Says what is wrong with `text`, in words fit for a user.
    pub fn parse(text: &str) -> Result<Self, InvalidLine> {
        one_line(text, MAX_NAME_LENGTH).map(|name| Self(name.into()))
    }

    /// As it was accepted once, perhaps under other rules.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for UserName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
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
            "\u{915}\u{94d}\u{200d}\u{937}",
            "\u{645}\u{6cc}\u{200c}\u{62e}",
            "\u{845b}\u{e0100}\u{57ce}",
            "\u{2801}\u{2800}\u{2803}",
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
                Err(InvalidLine::ControlCharacter),
                "{name:?}"
            );
        }
    }

    #[test]
    fn length_is_counted_in_code_points() {
        assert!(UserName::parse(&"é".repeat(100)).is_ok());
        assert_eq!(
            UserName::parse(&"é".repeat(101)),
            Err(InvalidLine::TooLong(100))
        );
        assert_eq!(UserName::parse("   "), Err(InvalidLine::Empty));
    }
}
