//! Points in time: on the ledger's clock, as the stored formats know them, and on
//! this machine's, for leases.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A clock that differs more is reported.
pub const TOLERATED_SKEW: Duration = Duration::from_secs(2);

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a time of RFC 3339 from 1970 to 9999, such as 2026-09-21T14:13:20Z")]
pub struct InvalidTime;

/// 9999-12-31T23:59:59Z.
const LAST_SECOND: i64 = 253_402_300_799;

impl Timestamp {
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// # Errors
    /// If `text` is not RFC 3339, or a time that cannot be written in it in UTC.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTime)?;
        let time = Self::from(moment);
        time.is_writable().then_some(time).ok_or(InvalidTime)
    }

    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whether it can be written in RFC 3339, and stored.
    #[must_use]
    pub fn is_writable(self) -> bool {
        (0..=LAST_SECOND).contains(&self.0.div_euclid(1000))
    }

    /// How far this lies outside of two times at least: how wrong a clock is that has
    /// answered between them.
    #[must_use]
    pub fn skew_between(self, before: Self, after: Self) -> Duration {
        before.since(self).max(self.since(after))
    }

    /// Time passed since `earlier`; zero if that lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

/// As a number, which a log shows as one.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl From<Timestamp> for OffsetDateTime {
    fn from(timestamp: Timestamp) -> Self {
        let (seconds, millis) = (timestamp.0.div_euclid(1000), timestamp.0.rem_euclid(1000));
        Self::from_unix_timestamp(seconds).map_or(Self::UNIX_EPOCH, |moment| {
            moment + Duration::from_millis(millis.unsigned_abs())
        })
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(moment: OffsetDateTime) -> Self {
        Self(i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
    }
}

/// Time since this machine started, suspended time included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uptime(Duration);

impl Uptime {
    #[must_use]
    pub const fn from_start(duration: Duration) -> Self {
        Self(duration)
    }

    #[must_use]
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// Time passed since `earlier`; zero if that lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Sub<Duration> for Uptime {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl Add<Duration> for Uptime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// The longest text of a time.
const TEXT_LENGTH: usize = "9999-12-31T23:59:59.999999999Z".len();

impl Timestamp {
    /// RFC 3339, in UTC; `None` for a time that cannot be written in it.
    fn write(self, text: &mut [u8; TEXT_LENGTH]) -> Option<&str> {
        let mut left = &mut text[..];
        let moment = OffsetDateTime::from(self);
        moment.format_into(&mut left, &Rfc3339).ok()?;
        let length = TEXT_LENGTH - left.len();
        std::str::from_utf8(&text[..length]).ok()
    }
}

/// RFC 3339, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; TEXT_LENGTH];
        f.write_str(self.write(&mut text).ok_or(fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; TEXT_LENGTH];
        let text = self.write(&mut text);
        serializer.serialize_str(text.ok_or_else(|| S::Error::custom("no time of RFC 3339"))?)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_rfc_3339() {
        let moment = Timestamp::from_millis(1_790_000_000_250);
        assert_eq!(moment.to_string(), "2026-09-21T14:13:20.25Z");
    }

    #[test]
    fn what_cannot_be_written_is_not_read() {
        for edge in ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"] {
            let read = Timestamp::parse(edge).unwrap();
            assert_eq!(Timestamp::parse(&read.to_string()), Ok(read), "{edge}");
        }
        let shifted = Timestamp::parse("1970-01-01T01:00:00+01:00");
        assert_eq!(shifted, Ok(Timestamp::from_millis(0)));
        for text in [
            "0000-01-01T00:00:00+00:01",
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-00:01",
            "2026-09-21",
            "2026-09-21T14:13:20",
            "1790000000",
            "",
        ] {
            assert_eq!(Timestamp::parse(text), Err(InvalidTime), "{text:?}");
        }
    }

    #[test]
    fn a_clock_is_wrong_by_no_more_than_the_way_to_it_leaves() {
        let at = Timestamp::from_millis;
        let skew = |answer, before, after| at(answer).skew_between(at(before), at(after));
        assert_eq!(skew(1500, 1000, 2000), Duration::ZERO);
        assert_eq!(skew(4100, 1000, 2000), Duration::from_millis(2100));
        assert_eq!(skew(1000, 5000, 5001), Duration::from_secs(4));
    }

    #[test]
    fn the_future_is_no_time_ago() {
        let now = Timestamp::from_millis(1_000);
        assert_eq!(now.since(Timestamp::from_millis(5_000)), Duration::ZERO);
        assert_eq!(
            now.since(Timestamp::from_millis(400)),
            Duration::from_millis(600)
        );
    }
}
