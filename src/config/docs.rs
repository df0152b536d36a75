//! `docs.*`: the documentation that the service itself shows.

use super::reader::Reader;
use super::values::flag;

#[derive(Clone)]
pub struct Docs {
    pub enabled: bool,
}

impl Docs {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            enabled: from.value(
                "docs.enabled",
                "true",
                "Whether /docs and /openapi.json are shown",
                flag,
            ),
        }
    }
}
