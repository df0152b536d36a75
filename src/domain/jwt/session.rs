//! What a JWT says that is minted from a session.

use serde::{Deserialize, Serialize};

use super::claims::{Audience, NumericDate};
use crate::domain::id::{SessionId, UserId};
use crate::domain::revocation::LogNumber;

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
    /// Up to where the revocation log was known not to have ended the session.
    pub rev: LogNumber,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When a password was last verified for the session (`OpenID` Connect Core, 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<NumericDate>,
}
