//! What an examination of a deployment finds.

use std::time::Duration;

use serde::Serialize;

use super::time::TOLERATED_SKEW;

/// How what was looked at stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ok,
    /// It works, but not as it should.
    Warn,
    /// It does not work, or breaks a promise.
    Fail,
    /// Nobody may look.
    Unknown,
}

impl State {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

/// How one thing stands, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub about: &'static str,
    pub state: State,
    pub found: String,
    pub mend: Option<String>,
}

impl Finding {
    #[must_use]
    pub fn ok(about: &'static str, found: impl Into<String>) -> Self {
        Self {
            about,
            state: State::Ok,
            found: found.into(),
            mend: None,
        }
    }

    #[must_use]
    pub fn warn(about: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Warn,
            mend: Some(mend.into()),
            ..Self::ok(about, found)
        }
    }

    #[must_use]
    pub fn fail(about: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Fail,
            mend: Some(mend.into()),
            ..Self::ok(about, found)
        }
    }

    #[must_use]
    pub fn unknown(about: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Unknown,
            mend: Some(mend.into()),
            ..Self::ok(about, found)
        }
    }

    /// How a clock stands that differs from this machine's by that much.
    #[must_use]
    pub fn clock(about: &'static str, skew: Duration, mend: &str) -> Self {
        let found = format!("differs from this machine's by {:.1} s", skew.as_secs_f64());
        if skew > TOLERATED_SKEW {
            return Self::warn(about, found, mend);
        }
        Self::ok(about, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_told() {
        let state = |millis| Finding::clock("", Duration::from_millis(millis), "").state;
        assert_eq!(state(2000), State::Ok);
        assert_eq!(state(2001), State::Warn);
    }
}
