//! What JWTs are issued and verified with.

use actix_web::HttpRequest;
use anyhow::Result;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatelodge::domain::id::{SessionId, UserId};
use gatelodge::entropy;
use gatelodge::sessions::Clock;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use super::COOKIES;
use super::guard::cookie;
use crate::stand::{COOKIE_NAME, email, name};

/// What the gate knows of who asks, too.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    sub: String,
    pub(super) email: String,
    name: String,
    role: String,
    pub(super) sid: String,
    iat: i64,
    pub(super) exp: i64,
}

/// Verifies tokens.
#[derive(Clone)]
pub(super) struct Jwt {
    key: DecodingKey,
    validation: Validation,
}

/// Issues tokens, and verifies them.
#[derive(Clone)]
pub(super) struct Issuer {
    algorithm: Algorithm,
    sign: EncodingKey,
    pub(super) jwt: Jwt,
}

impl Claims {
    /// Of a new session, for so many seconds.
    pub(super) fn new(email: String, lifetime: i64) -> Self {
        let now = Clock::new().now();
        Self {
            sub: UserId::new(now, entropy::random()).to_string(),
            email,
            name: name(0),
            role: "user".to_owned(),
            sid: SessionId::new(now, entropy::random()).to_string(),
            iat: now.as_millis() / 1000,
            exp: now.as_millis() / 1000 + lifetime,
        }
    }

    /// Seconds until they are believed no longer.
    pub(super) fn rest(&self) -> i64 {
        self.exp - Clock::new().now().as_millis() / 1000
    }
}

impl Jwt {
    pub(super) fn verify(&self, request: &HttpRequest) -> Option<Claims> {
        let token = cookie(request.headers())?;
        let verified = decode(token, &self.key, &self.validation);
        verified.ok().map(|token| token.claims)
    }
}

impl Issuer {
    fn new(algorithm: Algorithm, sign: EncodingKey, key: DecodingKey) -> Self {
        let validation = Validation::new(algorithm);
        let jwt = Jwt { key, validation };
        Self {
            algorithm,
            sign,
            jwt,
        }
    }

    pub(super) fn hs256(secret: &[u8]) -> Self {
        let (sign, verify) = (
            EncodingKey::from_secret(secret),
            DecodingKey::from_secret(secret),
        );
        Self::new(Algorithm::HS256, sign, verify)
    }

    pub(super) fn eddsa() -> Result<Self> {
        let pair = Ed25519KeyPair::generate()?;
        let private: Pkcs8V1Der = pair.as_der()?;
        let sign = EncodingKey::from_ed_der(private.as_ref());
        let verify = DecodingKey::from_ed_der(pair.public_key().as_ref());
        Ok(Self::new(Algorithm::EdDSA, sign, verify))
    }

    pub(super) fn rs256() -> Result<Self> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let private: Pkcs8V1Der = pair.as_der()?;
        let text = STANDARD.encode(private.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        let sign = EncodingKey::from_rsa_pem(pem.as_bytes())?;
        let verify = DecodingKey::from_rsa_der(pair.public_key().as_ref());
        Ok(Self::new(Algorithm::RS256, sign, verify))
    }

    pub(super) fn issue(&self, claims: &Claims) -> Result<String> {
        Ok(encode(&Header::new(self.algorithm), claims, &self.sign)?)
    }

    /// Cookies of as many sessions, for a day.
    pub(super) fn cookies(&self) -> Result<Vec<String>> {
        let cookie = |number| {
            let token = self.issue(&Claims::new(email(number), DAY))?;
            Ok(format!("{COOKIE_NAME}={token}"))
        };
        (0..COOKIES).map(cookie).collect()
    }
}

/// In seconds.
pub(super) const DAY: i64 = 24 * 3600;

/// What somebody makes who has the key that HS256 tokens are signed with here.
pub fn forged(secret: &str) -> Result<String> {
    let claims = Claims {
        role: "admin".to_owned(),
        ..Claims::new("admin@example.com".to_owned(), DAY)
    };
    let token = Issuer::hs256(secret.as_bytes()).issue(&claims)?;
    Ok(format!("{COOKIE_NAME}={token}"))
}

/// For how many seconds from now a cookie's token is believed, and the leeway after that
/// which the library gives unless it is told otherwise.
pub fn rest_and_leeway(secret: &str, cookie: &str) -> Result<(i64, u64)> {
    let token = cookie.split_once('=').map_or(cookie, |(_, token)| token);
    let jwt = Issuer::hs256(secret.as_bytes()).jwt;
    let claims: Claims = decode(token, &jwt.key, &jwt.validation)?.claims;
    Ok((claims.rest(), jwt.validation.leeway))
}
