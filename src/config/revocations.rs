//! `revocations.*`: who hears of revocations.

use super::reader::Reader;
use crate::domain::credential::ServiceCredential;

#[derive(Clone)]
pub struct Revocations {
    pub credentials: Vec<ServiceCredential>,
}

impl Revocations {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            credentials: from.secret_list(
                "revocations.credentials",
                "What services show at GET /api/revocations, one each or one for all: at least \
                 32 characters, such as `openssl rand -hex 32` prints. Unset: it tells nobody",
                |text| ServiceCredential::parse(text).map_err(|error| error.to_string()),
            ),
        }
    }
}
