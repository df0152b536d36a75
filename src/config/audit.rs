//! `audit.*`: the log of who did what.

use std::time::Duration;

use super::reader::Reader;
use super::values::duration;

#[derive(Clone)]
pub struct Audit {
    pub retention: Duration,
}

impl Audit {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            retention: from.value(
                "audit.retention",
                "400d",
                "How long the audit log goes back",
                duration,
            ),
        }
    }
}
