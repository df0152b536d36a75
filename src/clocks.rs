//! This machine's clocks. What they say goes on as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::time::{Timestamp, Uptime};

/// Time since this machine started, suspended time included.
#[must_use]
pub fn uptime() -> Uptime {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(clock);
    Uptime::from_start(now.try_into().unwrap_or(Duration::ZERO))
}

/// As this machine's wall clock shows it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn wall_time() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(since_epoch.as_millis().try_into().unwrap_or(i64::MAX))
}
