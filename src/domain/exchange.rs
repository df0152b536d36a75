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
    pub user_claim: UserClaim,
}

/// The claim that names a user of ours. What it is, is not guessed: an address that looks
/// like an id opens nobody's session.
#[derive(Clone)]
pub enum UserClaim {
    Id(String),
    Email(String),
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
    #[error("it names no user as configured")]
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
        Ok(ForeignJwt {
            digest: JwtDigest::of(&self.expected.issuer, jti),
            named: self.user_claim.read(&claims).ok_or(NotTaken::UserClaim)?,
            expires_at: expires_at.ok_or(NotTaken::Exp)?,
        })
    }
}

impl UserClaim {
    fn read(&self, claims: &Map<String, Value>) -> Option<Named> {
        let text = |claim: &str| claims.get(claim)?.as_str();
        match self {
            Self::Id(claim) => text(claim)?.parse().map(Named::Id).ok(),
            Self::Email(claim) => {
                // To that system, addresses that are one here may be several people's.
                let is_as_written = |email: &Email| Some(email.as_str()) == text(claim);
                let email = Email::parse(text(claim)?).ok();
                email.filter(is_as_written).map(Named::Email)
            }
        }
    }
}

impl Named {
    #[must_use]
    pub fn is(&self, user: &User) -> bool {
        match self {
            Self::Id(id) => *id == user.id,
            Self::Email(email) => *email == user.email,
        }
    }
}

impl JwtDigest {
    #[must_use]
    pub fn of(issuer: &str, jti: &str) -> Self {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;
    use serde_json::json;

    use super::*;
    use crate::domain::jwt::signed_by;

    const SECONDS: i64 = 1_790_000_000;
    const SECRET: &[u8] = b"a secret that is long enough for it";

    fn issuer() -> ForeignIssuer {
        ForeignIssuer {
            expected: Expected {
                issuer: "https://old.example.com".to_owned(),
                audience: "shop".to_owned(),
            },
            keys: VerifyingKeys::secret(SECRET).unwrap(),
            user_claim: UserClaim::Email("email".to_owned()),
        }
    }

    fn claims() -> Value {
        json!({
            "iss": "https://old.example.com", "aud": "shop", "exp": SECONDS + 600,
            "jti": "1", "email": "ada@example.com",
        })
    }

    fn signed(claims: &Value) -> String {
        signed_by(SECRET, r#"{"alg":"HS256"}"#, claims)
    }

    fn verified(jwt: &str) -> Result<ForeignJwt, NotTaken> {
        issuer().verify(jwt, Timestamp::from_millis(SECONDS * 1000))
    }

    fn with(claim: &str, value: Value) -> Result<ForeignJwt, NotTaken> {
        let mut claims = claims();
        claims[claim] = value;
        verified(&signed(&claims))
    }

    #[test]
    fn a_user_is_named_by_what_is_configured_and_by_nothing_else() {
        const ID: &str = "01939d5e-7e1c-7a3b-9f60-1b2f3a4c5d6e";
        const EMAIL: &str = "ada@example.com";
        let named = |user_claim: fn(String) -> UserClaim, value: Value| {
            let mut claims = claims();
            claims["user"] = value;
            let issuer = ForeignIssuer {
                user_claim: user_claim("user".to_owned()),
                ..issuer()
            };
            let now = Timestamp::from_millis(SECONDS * 1000);
            issuer.verify(&signed(&claims), now).map(|jwt| jwt.named)
        };
        let id = Named::Id(ID.parse().unwrap());
        assert_eq!(named(UserClaim::Id, json!(ID)), Ok(id));
        let email = Named::Email(Email::parse("ada@example.com").unwrap());
        assert_eq!(named(UserClaim::Email, json!(EMAIL)), Ok(email));
        for nobody in [json!("ada"), json!(4711), json!([ID]), Value::Null] {
            let refused = Err(NotTaken::UserClaim);
            assert_eq!(named(UserClaim::Id, nobody.clone()), refused);
            assert_eq!(named(UserClaim::Email, nobody), refused);
        }
        // To that system, each may be somebody else.
        for other in [
            "ADA@example.com",
            " ada@example.com",
            "\u{ff41}da@example.com",
        ] {
            assert!(named(UserClaim::Email, json!(other)).is_err(), "{other}");
        }
        assert!(named(UserClaim::Id, json!(EMAIL)).is_err());
        assert!(named(UserClaim::Email, json!(ID)).is_err());
    }

    #[test]
    fn one_is_known_by_its_issuer_and_jti_for_longer_than_it_is_taken() {
        let jwt = verified(&signed(&claims())).unwrap();
        let end = Timestamp::from_millis((SECONDS + 660) * 1000);
        assert_eq!(jwt.expires_at, end);
        assert_eq!(with("nbf", json!(SECONDS)).unwrap().digest, jwt.digest);
        assert_ne!(with("jti", json!("2")).unwrap().digest, jwt.digest);
        assert_ne!(JwtDigest::of("https://old.example.co", "m1"), jwt.digest);
        for wrong in [json!(""), json!(1), Value::Null, json!("1".repeat(257))] {
            assert_eq!(with("jti", wrong).unwrap_err(), NotTaken::Jti);
        }
    }

    /// It could not be stored, and would be forgotten.
    #[test]
    fn an_end_that_no_calendar_has_is_none() {
        let last = 253_402_300_739_i64;
        assert!(with("exp", json!(last)).is_ok());
        for far in [json!(last + 1), json!(u64::MAX), json!(1e300)] {
            assert_eq!(with("exp", far).unwrap_err(), NotTaken::Exp);
        }
    }

    proptest! {
        #[test]
        fn a_jwt_with_anything_put_in_the_place_of_a_part_of_it_is_refused(
            at in any::<Index>(), length in 0usize..8, put in "[A-Za-z0-9._=-]{0,8}"
        ) {
            let jwt = signed(&claims());
            let at = at.index(jwt.len());
            let end = (at + length).min(jwt.len());
            let mut changed = jwt.clone();
            changed.replace_range(at..end, &put);
            prop_assume!(changed != jwt);
            prop_assert!(verified(&changed).is_err());
        }
    }
}
