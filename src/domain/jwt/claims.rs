//! What is asked of every token's claims (RFC 7519, 4.1).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::verifying::{Refused, object};
use crate::domain::time::Timestamp;

/// How far the clock of whoever issues may be ahead.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// Whose tokens are taken, and only if they are meant for whom.
#[derive(Clone, Debug)]
pub struct Expected {
    pub issuer: String,
    pub audience: String,
}

/// A point in time as claims have it, in seconds since the Unix epoch (RFC 7519, 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumericDate(Timestamp);

/// One, or several (RFC 7519, 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct Registered<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    aud: Audience,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
}

impl Expected {
    /// Whether claims are such, at that time.
    pub(super) fn check(&self, claims: &[u8], now: Timestamp) -> Result<(), Refused> {
        let claims: Registered<'_> = object(claims).ok_or(Refused::Claims)?;
        let is_from_the_future = |at: NumericDate| at.0 > now + LEEWAY;
        if claims.iss != self.issuer {
            Err(Refused::Issuer)
        } else if !claims.aud.has(&self.audience) {
            Err(Refused::Audience)
        } else if claims.exp.0 <= now {
            Err(Refused::Expired)
        } else if claims.nbf.is_some_and(is_from_the_future)
            || claims.iat.is_some_and(is_from_the_future)
        {
            Err(Refused::Early)
        } else {
            Ok(())
        }
    }
}

impl Audience {
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Several(several) => several.iter().any(|one| one == name),
        }
    }
}

impl From<Timestamp> for NumericDate {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl From<NumericDate> for Timestamp {
    fn from(date: NumericDate) -> Self {
        date.0
    }
}

impl NumericDate {
    fn from_seconds(seconds: i64) -> Self {
        Self(Timestamp::from_millis(seconds.saturating_mul(1000)))
    }
}

/// In whole seconds, as everybody reads them.
impl Serialize for NumericDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0.as_millis().div_euclid(1000))
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Seconds)
    }
}

struct Seconds;

impl Visitor<'_> for Seconds {
    type Value = NumericDate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds since 1970")
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<NumericDate, E> {
        Ok(NumericDate::from_seconds(seconds))
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<NumericDate, E> {
        Ok(NumericDate::from_seconds(
            i64::try_from(seconds).unwrap_or(i64::MAX),
        ))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too large or too small becomes the largest or smallest"
    )]
    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<NumericDate, E> {
        Ok(NumericDate::from_seconds(seconds.floor() as i64))
    }
}
