//! `throttle.*`: how many wrong passwords are taken.

use super::reader::Reader;
use super::values::{count, duration};
use crate::domain::attempt::Limits;

/// More in a row would be too many, whatever the window (NIST SP 800-63B-4, 3.2.2).
const MOST_ATTEMPTS: u32 = 100;

pub(super) fn read(from: &mut Reader) -> Limits {
    Limits {
        per_account: from.value(
            "throttle.max_attempts",
            "10",
            "Wrong passwords in a row at one account, before no more are tried for a while; \
             a browser that has logged in before has as many for itself. 100 at most",
            |text| {
                count(text)
                    .ok()
                    .filter(|attempts| *attempts <= MOST_ATTEMPTS)
                    .ok_or_else(|| format!("a whole number from 1 to {MOST_ATTEMPTS}"))
            },
        ),
        window: from.value("throttle.window", "15m", "How long that while is", duration),
        per_address: from.value(
            "throttle.max_attempts_per_ip",
            "100",
            "Wrong passwords from one address within the window, whatever the account; of \
             IPv6, from one /64",
            count,
        ),
    }
}
