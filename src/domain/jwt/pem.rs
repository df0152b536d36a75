//! The keys of verifiers that know no `EdDSA`: their own, out of PEM files.

use std::sync::Arc;

use super::{Algorithm, Jwk, SigningKey};

/// Of each algorithm the first signs; all are published.
#[derive(Clone, Default)]
pub struct PemKeys {
    pub es256: Vec<Arc<SigningKey>>,
    pub rs256: Vec<Arc<SigningKey>>,
}

impl PemKeys {
    /// The key that signs; `None` if there is none for that algorithm.
    #[must_use]
    pub fn first(&self, algorithm: Algorithm) -> Option<&SigningKey> {
        let keys = match algorithm {
            Algorithm::Es256 => &self.es256,
            Algorithm::Rs256 => &self.rs256,
            Algorithm::EdDsa | Algorithm::Hs256 => return None,
        };
        keys.first().map(|key| &**key)
    }

    pub fn published(&self) -> impl Iterator<Item = &Jwk> {
        let keys = self.es256.iter().chain(&self.rs256);
        keys.map(|key| key.public())
    }
}
