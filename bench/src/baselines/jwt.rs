//! Stateless tokens: believed until they expire.

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

use super::guard::{Guard, Identify, cookie};
use super::{COOKIES, route, run};
use crate::stand::{COOKIE_NAME, email, name};

/// What the gate knows of who asks, too.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    sub: String,
    email: String,
    name: String,
    role: String,
    pub(super) sid: String,
    iat: i64,
    exp: i64,
}

#[derive(Clone)]
pub(super) struct Jwt {
    key: DecodingKey,
    validation: Validation,
}

/// A way to verify tokens, and the cookies that pass.
pub(super) struct Issued {
    pub(super) jwt: Jwt,
    pub(super) cookies: Vec<String>,
}

impl Jwt {
    pub(super) fn verify(&self, request: &HttpRequest) -> Option<Claims> {
        let token = cookie(request.headers())?;
        let verified = decode(token, &self.key, &self.validation);
        verified.ok().map(|token| token.claims)
    }
}

impl Identify for Jwt {
    type Identity = Claims;

    async fn identify(&self, request: &HttpRequest) -> Option<Claims> {
        self.verify(request)
    }
}

impl Issued {
    pub(super) async fn serve(self) -> Result<()> {
        let jwt = self.jwt;
        run(&self.cookies, move |app| {
            app.service(route().wrap(Guard::new(jwt.clone())));
        })
        .await
    }
}

pub(super) fn hs256() -> Result<Issued> {
    let secret = entropy::random::<32>();
    let (sign, verify) = (
        EncodingKey::from_secret(&secret),
        DecodingKey::from_secret(&secret),
    );
    issue(Algorithm::HS256, &sign, verify)
}

pub(super) fn eddsa() -> Result<Issued> {
    let pair = Ed25519KeyPair::generate()?;
    let private: Pkcs8V1Der = pair.as_der()?;
    let sign = EncodingKey::from_ed_der(private.as_ref());
    let verify = DecodingKey::from_ed_der(pair.public_key().as_ref());
    issue(Algorithm::EdDSA, &sign, verify)
}

pub(super) fn rs256() -> Result<Issued> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
    let private: Pkcs8V1Der = pair.as_der()?;
    let text = STANDARD.encode(private.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
    let sign = EncodingKey::from_rsa_pem(pem.as_bytes())?;
    let verify = DecodingKey::from_rsa_der(pair.public_key().as_ref());
    issue(Algorithm::RS256, &sign, verify)
}

fn issue(algorithm: Algorithm, sign: &EncodingKey, key: DecodingKey) -> Result<Issued> {
    let now = Clock::new().now();
    let cookie = |number| {
        let claims = Claims {
            sub: UserId::new(now, entropy::random()).to_string(),
            email: email(number),
            name: name(number),
            role: "user".to_owned(),
            sid: SessionId::new(now, entropy::random()).to_string(),
            iat: now.as_millis() / 1000,
            exp: now.as_millis() / 1000 + 24 * 3600,
        };
        let token = encode(&Header::new(algorithm), &claims, sign)?;
        Ok(format!("{COOKIE_NAME}={token}"))
    };
    Ok(Issued {
        jwt: Jwt {
            key,
            validation: Validation::new(algorithm),
        },
        cookies: (0..COOKIES).map(cookie).collect::<Result<_>>()?,
    })
}
