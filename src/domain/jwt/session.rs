//! What a JWT says that is minted from a session.

use serde::{Deserialize, Serialize};

use super::MAX_LIFETIME;
use super::claims::{Audience, NumericDate};
use crate::domain::id::{SessionId, UserId};
use crate::domain::revocation::Vouched;
use crate::domain::time::Timestamp;

/// As they are in the token. Whoever verifies is not held up by roles that a later
/// version may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClaims {
    pub iss: String,
    /// Whose session it is.
    pub sub: UserId,
    pub aud: Audience,
    pub exp: NumericDate,
    pub nbf: NumericDate,
    pub iat: NumericDate,
    pub jti: String,
    /// The session's public id.
    pub sid: SessionId,
    pub roles: Vec<String>,
    /// Up to where the revocation log was known not to have ended the session, and which
    /// log that was.
    pub rev: Vouched,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When a password was last verified for the session (`OpenID` Connect Core, 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<NumericDate>,
}

impl SessionClaims {
    /// Whether it lives longer than any that is minted: what ends it may be forgotten by
    /// then.
    #[must_use]
    pub fn lives_too_long(&self) -> bool {
        Timestamp::from(self.exp) > Timestamp::from(self.iat) + MAX_LIFETIME
    }
}
