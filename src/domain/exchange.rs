//! The way in for JWTs of another system, the one that is left: whose are taken, how each
//! is known to have been, and whom it names.

use std::time::Duration;

use ring::digest::{Context, SHA256};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::domain::email::Email;
use crate::domain::id::UserId;
use crate::domain::jwt::{Expected, NumericDate, Refused, VerifyingKeys};
use crate::domain::time::Timestamp;
use crate::domain::user::User;

/// A longer `jti` is none, in bytes.
const MAX_JTI: usize = 256;

/// How far apart the clocks of instances may be: by one, a JWT may have expired that
/// another still takes.
const SKEW: Duration = Duration::from_mins(1);

/// The system that is left, and how its JWTs are known.
#[derive(Clone)]
pub struct ForeignIssuer {
    pub expected: Expected,
    pub keys: VerifyingKeys,
    /// The claim that names a user of ours.
    pub user_claim: String,
}

/// One that was verified.
#[derive(Clone, Debug)]
pub struct ForeignJwt {
    pub digest: JwtDigest,
    pub named: Named,
    /// From then on, no instance takes it.
    pub expires_at: Timestamp,
}

/// SHA-256 of a JWT's issuer and `jti`: by which it is known to have been exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwtDigest([u8; 32]);

/// A user, as a JWT names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Id(UserId),
    Email(Email),
}

/// Why a JWT is not exchanged, as far as it says so itself: for logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("it has no jti, or one that is too long")]
    Jti,
    #[error("its exp is too far away")]
    Exp,
    #[error("its exchange.user_claim is neither an id nor an e-mail address")]
    UserClaim,
}

impl ForeignIssuer {
    /// Whom a JWT names, if it is one of that system and holds at `now`.
    ///
    /// # Errors
    /// Why it is not exchanged.
    pub fn verify(&self, jwt: &str, now: Timestamp) -> Result<ForeignJwt, NotTaken> {
        let authentic = self.keys.authentic(jwt)?;
        let claims: Map<String, Value> = authentic.claims(&self.expected, now)?;
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
        let is_jti = |jti: &&str| (1..=MAX_JTI).contains(&jti.len());
        let jti = text("jti").filter(is_jti).ok_or(NotTaken::Jti)?;
        let exp = claims.get("exp").map(NumericDate::deserialize);
        let exp = exp.and_then(Result::ok).map(Timestamp::from);
        let expires_at = exp.map(|exp| exp + SKEW).filter(|end| end.is_writable());
        let named = text(&self.user_claim).and_then(Named::parse);
        Ok(ForeignJwt {
            digest: JwtDigest::of(&self.expected.issuer, jti),
            named: named.ok_or(NotTaken::UserClaim)?,
            expires_at: expires_at.ok_or(NotTaken::Exp)?,
        })
    }
}

impl Named {
    fn parse(text: &str) -> Option<Self> {
        let id = text.parse().map(Self::Id);
        id.ok().or_else(|| Email::parse(text).map(Self::Email).ok())
    }

    #[must_use]
    pub fn is(&self, user: &User) -> bool {
        match self {
            Self::Id(id) => *id == user.id,
            Self::Email(email) => *email == user.email,
        }
    }
}

impl JwtDigest {
    fn of(issuer: &str, jti: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(issuer.as_bytes());
        // There is none in an issuer.
        context.update(&[0]);
        context.update(jti.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
