//! The revocation log: its numbers, its entries, and what they record.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::domain::id::{SessionId, UserId};

/// A position in the revocation log. The log starts with number 0, its origin.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LogNumber(u64);

impl LogNumber {
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for LogNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The random mark of an entry. A log that shows another mark under the same
/// number is not the log it was: it went backwards and on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark(pub [u8; 16]);

impl Mark {
    /// Of 32 digits.
    fn parse(text: &str) -> Option<Self> {
        let mark = Uuid::try_parse(text).ok()?;
        (text.len() == MARK_LENGTH).then(|| Self(mark.into_bytes()))
    }

    /// Enough of the mark to tell two logs apart, in copies and in the view.
    #[must_use]
    pub const fn prefix(self) -> MarkPrefix {
        MarkPrefix([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

/// 32 digits in lower case.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).simple().fmt(f)
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a mark has 32 hexadecimal digits"))
    }
}

/// The first bytes of a [`Mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkPrefix(pub [u8; 4]);

impl MarkPrefix {
    /// Of eight digits in lower case.
    fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_mark = text.len() == 8 && text.bytes().all(is_digit);
        let mark = u32::from_str_radix(text, 16).ok().filter(|_| is_mark)?;
        Some(Self(mark.to_be_bytes()))
    }
}

/// Where the log stood, and which log it was, when a copy was read. Packed, for the
/// sake of the millions that the local cache can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(4))]
pub struct Vouched {
    pub number: LogNumber,
    pub mark: MarkPrefix,
}

impl Vouched {
    /// # Errors
    /// If `text` names no position that a log can have.
    pub fn parse(text: &str) -> Result<Self, InvalidPosition> {
        let parsed = text.split_once('-').and_then(|(number, mark)| {
            Some(Self {
                number: parse_number(number)?,
                mark: MarkPrefix::parse(mark)?,
            })
        });
        parsed.ok_or(InvalidPosition)
    }

    /// The one that was vouched for later; if both were at once, this one.
    #[must_use]
    pub const fn later(self, other: Self) -> Self {
        if self.number.get() < other.number.get() {
            other
        } else {
            self
        }
    }
}

/// `42-9f86d081`.
impl fmt::Display for Vouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = u32::from_be_bytes(self.mark.0);
        write!(f, "{}-{mark:08x}", self.number.get())
    }
}

impl Serialize for Vouched {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Vouched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// What the log records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    SessionEnded(SessionId),
    /// Ends the user's sessions born before this entry, but for one that may be
    /// spared.
    UserEnded {
        user: UserId,
        spared: Option<SessionId>,
    },
    /// The user's name, e-mail or role is no longer what copies vouched before
    /// this entry say.
    UserChanged(UserId),
    /// Ends all sessions born before this entry.
    EveryoneEnded,
    /// Something a later version records: nothing vouched before it is believed.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub number: LogNumber,
    pub mark: Mark,
    pub revocation: Revocation,
}

impl Entry {
    /// Of a log that ends here.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head {
            number: self.number,
            mark: self.mark,
        }
    }
}

/// What one transaction has appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// The mark of the entry before the first, if the transaction saw it.
    pub after: Option<Mark>,
    pub entries: Vec<Entry>,
}

/// The log's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    pub number: LogNumber,
    pub mark: Mark,
}

/// Where somebody who follows the log stands: `42-<mark>`, or `42` if the mark is not
/// known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub number: LogNumber,
    pub mark: Option<Mark>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number of the log, or such a number, a hyphen and its mark")]
pub struct InvalidPosition;

/// In hexadecimal digits.
const MARK_LENGTH: usize = 32;

impl Position {
    /// # Errors
    /// If `text` names no position that a log can have.
    pub fn parse(text: &str) -> Result<Self, InvalidPosition> {
        let (number, mark) = match text.split_once('-') {
            Some((number, mark)) => (number, Some(mark)),
            None => (text, None),
        };
        Ok(Self {
            number: parse_number(number).ok_or(InvalidPosition)?,
            mark: mark
                .map(|mark| Mark::parse(mark).ok_or(InvalidPosition))
                .transpose()?,
        })
    }
}

/// Digits alone, and no more than the ledgers can count.
fn parse_number(text: &str) -> Option<LogNumber> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = text.parse().ok().filter(|_| is_number)?;
    number.try_into().ok().map(LogNumber::new)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::time::Timestamp;

    pub(crate) fn user(n: u8) -> UserId {
        UserId::new(Timestamp::from_millis(0), [n; 10])
    }

    pub(crate) fn session(n: u8) -> SessionId {
        SessionId::new(Timestamp::from_millis(0), [n; 10])
    }

    /// Of three users and six sessions.
    pub(crate) fn any_revocation() -> impl Strategy<Value = Revocation> {
        let (user, session) = ((0u8..3).prop_map(user), (0u8..6).prop_map(session));
        prop_oneof![
            4 => session.clone().prop_map(Revocation::SessionEnded),
            4 => (user.clone(), proptest::option::of(session))
                .prop_map(|(user, spared)| Revocation::UserEnded { user, spared }),
            2 => user.prop_map(Revocation::UserChanged),
            1 => Just(Revocation::EveryoneEnded),
            1 => Just(Revocation::Unknown),
        ]
    }

    #[test]
    fn a_position_is_a_number_and_perhaps_a_mark() {
        let mark = Mark([0xab; 16]);
        let position = |number, mark| {
            Ok(Position {
                number: LogNumber::new(number),
                mark,
            })
        };
        assert_eq!(Position::parse("0"), position(0, None));
        assert_eq!(Position::parse("42"), position(42, None));
        let text = format!("42-{mark}");
        assert_eq!(Position::parse(&text), position(42, Some(mark)));
        for text in [
            "",
            "-",
            "42-",
            "+42",
            "-42",
            " 42",
            "4.2",
            "9223372036854775808",
            "42-abab",
            &format!("{text}0"),
            &format!("42-{}", Uuid::from_bytes(mark.0).hyphenated()),
            &format!("42-{}", Uuid::from_bytes(mark.0).braced()),
            &format!("{text}-{mark}"),
        ] {
            assert_eq!(Position::parse(text), Err(InvalidPosition), "{text:?}");
        }
    }

    #[test]
    fn where_a_copy_was_vouched_is_read_as_it_is_written() {
        let vouched = |number, mark| Vouched {
            number: LogNumber::new(number),
            mark: MarkPrefix(mark),
        };
        for (text, expected) in [
            ("99-9f86d081", vouched(99, [0x9f, 0x86, 0xd0, 0x81])),
            ("0-00000000", vouched(0, [0; 4])),
        ] {
            assert_eq!(Vouched::parse(text), Ok(expected));
            assert_eq!(expected.to_string(), text);
        }
        for text in [
            "",
            "99",
            "99-",
            "-9f86d081",
            "-1-9f86d081",
            "99-9F86D081",
            "99-9f86d08",
            "99-+f86d081",
            "99-9f86d0811",
            "9223372036854775808-9f86d081",
        ] {
            assert_eq!(Vouched::parse(text), Err(InvalidPosition), "{text:?}");
        }
    }
}
