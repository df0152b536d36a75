//! `password.*`: what a password must be, and what it costs to verify one.

use super::reader::Reader;
use super::server::{PublicUrl, cores};
use super::values::count;
use crate::domain::password::{Cost, PasswordPolicy};

#[derive(Clone)]
pub struct Password {
    /// In code points.
    pub min_length: usize,
    pub bcrypt_cost: Cost,
    pub hash_concurrency: usize,
    /// How many hashes may wait; left out, two seconds' work.
    pub hash_queue: Option<usize>,
}

const SHORTEST_MIN_LENGTH: usize = 8;

impl Password {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            min_length: from.value(
                "password.min_length",
                "15",
                "In characters, for new passwords",
                |text| {
                    count(text)
                        .ok()
                        .filter(|length| *length >= SHORTEST_MIN_LENGTH)
                        .ok_or_else(|| format!("a whole number, {SHORTEST_MIN_LENGTH} or more"))
                },
            ),
            bcrypt_cost: from.value(
                "password.bcrypt_cost",
                "12",
                "Each more doubles the work of verifying a password; `gatelodge hash \
                 calibrate` finds yours",
                |text| {
                    text.parse().ok().and_then(Cost::new).ok_or_else(|| {
                        format!("a whole number from {} to {}", Cost::MIN, Cost::MAX)
                    })
                },
            ),
            hash_concurrency: from
                .optional(
                    "password.hash_concurrency",
                    "Passwords verified at once. Unset: cores - 1, at least 1",
                    count,
                )
                .unwrap_or_else(|| cores().saturating_sub(1).max(1)),
            hash_queue: from.optional(
                "password.hash_queue",
                "Passwords that may wait for their turn. Unset: two seconds' work",
                count,
            ),
        }
    }

    /// What is asked of every new password.
    pub(super) fn policy(&self, url: &PublicUrl) -> PasswordPolicy {
        PasswordPolicy::new(self.min_length, url.host())
    }
}
