//! Signing, for others to verify without us.

use std::fmt;

use base64::Engine as _;
use ring::rand::SecureRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use serde::Serialize;

use super::jwk::{Jwk, Members};
use super::{Algorithm, BASE64, TYPE};

/// A private key, and how it is known to others.
pub struct SigningKey {
    pair: Pair,
    public: Jwk,
    /// What all its tokens begin with: the header, encoded, and a full stop.
    beginning: String,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

/// Bytes that are no key of the kind that they should be.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidSigningKey(Algorithm);

impl fmt::Display for InvalidSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Algorithm::Es256 => "a private key on the curve P-256",
            Algorithm::Rs256 => "an RSA private key of 2048 to 4096 bits",
            Algorithm::EdDsa | Algorithm::Hs256 => "a private key for ES256 or RS256",
        })
    }
}

impl std::error::Error for InvalidSigningKey {}

impl SigningKey {
    /// The key for `EdDSA` of a random seed (RFC 8032, 5.1.5).
    ///
    /// # Panics
    /// Never: any 32 bytes are a seed.
    #[must_use]
    pub fn ed25519(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .unwrap_or_else(|_| unreachable!("any 32 bytes are a seed"));
        let members = Members::ed25519(pair.public_key().as_ref());
        Self::new(Pair::Ed25519(pair), members)
    }

    /// A key for ES256 or RS256 in PKCS#8 (RFC 5958).
    ///
    /// # Errors
    /// If it is none, or one for something else.
    pub fn from_pkcs8(
        algorithm: Algorithm,
        der: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Self, InvalidSigningKey> {
        let invalid = InvalidSigningKey(algorithm);
        match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, random)
                    .map_err(|_| invalid)?;
                // SEC 1, 2.3.3: a point begins with how it is written.
                let members = Members::p256(&pair.public_key().as_ref()[1..]);
                Ok(Self::new(Pair::P256(pair), members))
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| invalid)?;
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                let members = Members::rsa(&public.n, &public.e);
                Ok(Self::new(Pair::Rsa(Box::new(pair)), members))
            }
            Algorithm::EdDsa | Algorithm::Hs256 => Err(invalid),
        }
    }

    fn new(pair: Pair, members: Members) -> Self {
        let public = Jwk::new(members);
        let (alg, kid) = (pair.algorithm().as_str(), public.kid());
        let header = format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"{TYPE}"}}"#);
        Self {
            beginning: format!("{}.", BASE64.encode(header)),
            pair,
            public,
        }
    }

    #[must_use]
    pub const fn public(&self) -> &Jwk {
        &self.public
    }

    /// # Errors
    /// If the claims are not JSON, or the system has no randomness to give.
    pub fn sign(
        &self,
        claims: &impl Serialize,
        random: &dyn SecureRandom,
    ) -> Result<String, anyhow::Error> {
        let mut jwt = self.beginning.clone();
        BASE64.encode_string(serde_json::to_vec(claims)?, &mut jwt);
        let signature = self.pair.sign(jwt.as_bytes(), random);
        let signature = signature.map_err(|_| anyhow::anyhow!("no signature could be made"))?;
        jwt.push('.');
        BASE64.encode_string(signature, &mut jwt);
        Ok(jwt)
    }
}

impl Pair {
    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::EdDsa,
            Self::P256(_) => Algorithm::Es256,
            Self::Rsa(_) => Algorithm::Rs256,
        }
    }

    fn sign(
        &self,
        message: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Vec<u8>, ring::error::Unspecified> {
        match self {
            Self::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Self::P256(pair) => Ok(pair.sign(random, message)?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }
}
