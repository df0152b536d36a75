//! How values are written, and how the files that they name are read: each parser gives the
//! value, or says what would be right.

use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// Ten years: more is a mistake.
const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// `250ms`, `30s`, `15m`, `24h` or `30d`.
///
/// # Errors
/// Says what a duration looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration such as 250ms, 30s, 15m, 24h or 30d".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let duration = number.checked_mul(millis).map(Duration::from_millis);
    duration
        .filter(|duration| !duration.is_zero() && *duration <= LONGEST)
        .ok_or_else(wrong)
}

/// A duration that may be none.
pub(super) fn duration_or_none(text: &str) -> Result<Duration, String> {
    if text == "0s" {
        Ok(Duration::ZERO)
    } else {
        duration(text).map_err(|right| format!("{right}, or 0s"))
    }
}

/// A whole number of at least one.
pub(super) fn count<T: FromStr + From<u8> + PartialOrd>(text: &str) -> Result<T, String> {
    text.parse()
        .ok()
        .filter(|number| *number >= T::from(1))
        .ok_or_else(|| "a whole number, 1 or more".to_owned())
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "true or false".to_owned())
}

/// The parser's own words would show what is in the file.
pub(super) const NOT_PEM: &str =
    "it is not PEM: -----BEGIN and -----END stand on lines of their own";

/// A file that is one, and no longer than any that is meant: whoever waits for a pipe, or reads a
/// device, does not come to an end.
pub(super) fn read_file(path: &Path) -> io::Result<String> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() || about.len() > LONGEST_FILE {
        let wrong = "is no file, or longer than 1 MiB";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, wrong));
    }
    std::fs::read_to_string(path)
}

/// In bytes: room for all whom the public trusts.
const LONGEST_FILE: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("30d"), Ok(Duration::from_hours(720)));
        for text in [
            "",
            "30",
            "m",
            "1.5h",
            "-1s",
            "0s",
            "99999999999999999999d",
            "3651d",
            "30 m",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
