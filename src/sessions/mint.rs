//! Minting: what a session is worth to services that can only read JWTs.

use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;

use super::Sessions;
use crate::domain::jwt::{Algorithm, JwkSet, PemKeys, StringOrUri, Template};
use crate::domain::revocation::Vouched;
use crate::domain::session::Record;
use crate::entropy;

pub struct Mint {
    sessions: Arc<Sessions>,
    issuer: StringOrUri,
    templates: Vec<Template>,
    pem: ArcSwap<PemKeys>,
}

impl Mint {
    #[must_use]
    pub fn new(
        sessions: Arc<Sessions>,
        issuer: StringOrUri,
        templates: Vec<Template>,
        pem: PemKeys,
    ) -> Self {
        Self {
            sessions,
            issuer,
            templates,
            pem: ArcSwap::from_pointee(pem),
        }
    }

    /// From now on these are the keys beside the ring's.
    pub fn replace(&self, pem: PemKeys) {
        self.pem.store(Arc::new(pem));
    }

    #[must_use]
    pub fn template(&self, name: &str) -> Option<&Template> {
        let mut templates = self.templates.iter();
        templates.find(|template| template.name.as_str() == name)
    }

    /// A JWT of a session that was found alive by a check, before which the view stood at
    /// `stood_at`.
    ///
    /// # Errors
    /// If there is no key for it, or no randomness.
    pub fn mint(
        &self,
        template: &Template,
        record: &Record,
        stood_at: Vouched,
    ) -> anyhow::Result<String> {
        let now = self.sessions.clock().now();
        let claims = template.claims(&self.issuer, record, stood_at, now, entropy::random());
        let random = entropy::source();
        match template.algorithm {
            Algorithm::EdDsa => self.sessions.keys().sign_jwt(&claims, &random),
            algorithm => {
                let pem = self.pem.load();
                let key = pem.first(algorithm).context("no key for this algorithm")?;
                key.sign(&claims, &random)
            }
        }
    }

    /// The public keys by which JWTs are verified, those that are about to sign and those
    /// that have signed included.
    #[must_use]
    pub fn published(&self) -> JwkSet {
        let mut keys = self.sessions.keys().published();
        keys.extend(self.pem.load().published().cloned());
        JwkSet { keys }
    }
}
