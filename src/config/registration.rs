//! `registration.*`: whether strangers may sign up.

use super::reader::Reader;
use super::values::flag;

#[derive(Clone)]
pub struct Registration {
    pub enabled: bool,
}

impl Registration {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            enabled: from.value(
                "registration.enabled",
                "true",
                "Whether anyone may sign up",
                flag,
            ),
        }
    }
}
