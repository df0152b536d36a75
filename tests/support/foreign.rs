//! The system that is left: keys of its own, and JWTs, right ones and wrong ones.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatelodge::sessions::Clock;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use ring::{hmac, rand};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

pub const ISSUER: &str = "https://old.example.com";
pub const AUDIENCE: &str = "shop";
pub const SECRET: &str = "the very secret that the old system signs with";

/// Settings with which an instance takes what is signed with [`SECRET`].
pub const BY_SECRET: [(&str, &str); 4] = [
    ("GATELODGE_EXCHANGE__ISSUER", ISSUER),
    ("GATELODGE_EXCHANGE__AUDIENCE", AUDIENCE),
    ("GATELODGE_EXCHANGE__SECRET", SECRET),
    ("GATELODGE_EXCHANGE__EMAIL_CLAIM", "email"),
];

pub enum Key {
    Secret(Vec<u8>),
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Key {
    pub fn secret() -> Self {
        Self::Secret(SECRET.into())
    }

    pub fn ed25519() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key"))
    }

    pub fn p256() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random);
        Self::P256(pair.expect("a key"))
    }

    /// The one of the tests: to find another takes long.
    pub fn rsa() -> Self {
        let pair = RsaKeyPair::from_pkcs8(include_bytes!("rsa.pk8"));
        Self::Rsa(Box::new(pair.expect("a key")))
    }

    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::Secret(_) => "HS256",
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    /// As whoever verifies has it, named by its algorithm.
    pub fn jwk(&self) -> Value {
        let mut jwk = match self {
            Self::Secret(secret) => json!({ "kty": "oct", "k": encoded(secret) }),
            Self::Ed25519(pair) => {
                let x = encoded(pair.public_key());
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
            }
            Self::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y) })
            }
            Self::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "n": encoded(public.n), "e": encoded(public.e) })
            }
        };
        jwk["kid"] = self.algorithm().into();
        jwk
    }

    /// A JWT of these claims under a usual header.
    pub fn signed(&self, claims: impl Display) -> String {
        let algorithm = self.algorithm();
        let header = json!({ "alg": algorithm, "kid": algorithm, "typ": "JWT" });
        self.signed_under(header, claims)
    }

    /// The same, whatever the header says.
    pub fn signed_under(&self, header: impl Display, claims: impl Display) -> String {
        let message = [header.to_string(), claims.to_string()]
            .map(encoded)
            .join(".");
        let signature = encoded(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Secret(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::P256(pair) => pair
                .sign(&random, message)
                .expect("signed")
                .as_ref()
                .to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .expect("signed");
                signature
            }
        }
    }
}

/// In base64url, as parts of a JWT are.
pub fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A file with these keys.
pub fn key_set(keys: &[Value]) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    let set = json!({ "keys": keys }).to_string();
    std::fs::write(file.path(), set).expect("it is written");
    file
}

/// Of somebody, for ten minutes from now, under a `jti` of its own.
pub fn claims(clock: &Clock, email: &str) -> Value {
    let now = clock.now().as_millis() / 1000;
    let jti: [u8; 16] = rand::generate(&SystemRandom::new())
        .expect("random")
        .expose();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "4711", "email": email, "jti": encoded(jti),
        "iat": now, "exp": now + 600,
    })
}
