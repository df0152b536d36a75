//! E-mail addresses: what a user logs in with.

use std::fmt;

use serde::{Serialize, Serializer};
use smol_str::SmolStr;
use unicode_normalization::UnicodeNormalization;

const MAX_LENGTH: usize = 254;
const MAX_LOCAL_LENGTH: usize = 64;
const MAX_LABEL_LENGTH: usize = 63;

/// A valid address in its one spelling: NFKC, lower case, ASCII, without
/// surrounding white space. Two addresses that look alike to a user are equal,
/// so they can never be two accounts.
///
/// What is valid is what HTML's `<input type="email">` accepts, with the length
/// limits of RFC 5321 (4.5.3.1). Addresses outside ASCII are refused, since
/// look-alike letters (Cyrillic `а`) would make look-alike accounts; an
/// international domain is written in its `xn--` form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(SmolStr);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    #[error("must be an e-mail address such as name@example.com")]
    Malformed,
    #[error("must be at most {MAX_LENGTH} characters long, {MAX_LOCAL_LENGTH} before the @")]
    TooLong,
    #[error(
        "must consist of ASCII letters, digits and signs; write an international domain in its xn-- form"
    )]
    NotAscii,
}

impl Email {
    /// # Errors
    /// Says what is wrong with `text`, in words fit for a user.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        // NFKC can make a text longer, so the limit is looked at on both sides of it.
        if text.len() > 4 * MAX_LENGTH {
            return Err(InvalidEmail::TooLong);
        }
        let address: String = if text.is_ascii() {
            text.trim().to_ascii_lowercase()
        } else {
            text.trim().nfkc().flat_map(char::to_lowercase).collect()
        };
        let (local, domain) = address.split_once('@').ok_or(InvalidEmail::Malformed)?;
        if !address.is_ascii() {
            return Err(InvalidEmail::NotAscii);
        }
        if !is_local_part(local) || !is_domain(domain) {
            return Err(InvalidEmail::Malformed);
        }
        if address.len() > MAX_LENGTH || local.len() > MAX_LOCAL_LENGTH {
            return Err(InvalidEmail::TooLong);
        }
        Ok(Self(address.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_local_part(local: &str) -> bool {
    !local.is_empty()
        && local
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b))
}

fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= MAX_LABEL_LENGTH
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

impl Serialize for Email {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Personal data: logs name users by id.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_equal() {
        let alice = Email::parse("alice@example.com").unwrap();
        for spelling in [
            "Alice@Example.COM",
            " alice@example.com\n",
            "ＡＬＩＣＥ@example.com",
            "alice＠example.com",
        ] {
            assert_eq!(Email::parse(spelling).unwrap(), alice, "{spelling:?}");
        }
    }

    #[test]
    fn look_alikes_are_refused() {
        assert_eq!(
            Email::parse("\u{430}lice@example.com"),
            Err(InvalidEmail::NotAscii)
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            " ",
            "@",
            "alice",
            "alice@",
            "@example.com",
            "a@b@c",
            "a b@example.com",
            "alice@-example.com",
            "alice@example..com",
            "alice@exa_mple.com",
            "ali\u{0}ce@example.com",
            "alice@example.com\r\nBcc: eve@example.com",
        ] {
            assert_eq!(Email::parse(text), Err(InvalidEmail::Malformed), "{text:?}");
        }
    }

    #[test]
    fn over_long_addresses_are_refused() {
        let local = "a".repeat(65);
        assert_eq!(
            Email::parse(&format!("{local}@example.com")),
            Err(InvalidEmail::TooLong)
        );
        let domain = ["abcdefgh"; 31].join(".");
        assert_eq!(
            Email::parse(&format!("alice@{domain}")),
            Err(InvalidEmail::TooLong)
        );
        assert_eq!(
            Email::parse(&"a".repeat(1 << 20)),
            Err(InvalidEmail::TooLong)
        );
    }
}
