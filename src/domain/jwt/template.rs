//! Templates: what kinds of JWTs are minted from sessions.

use std::time::Duration;

use super::Algorithm;
use super::claims::Audience;
use super::session::SessionClaims;
use crate::domain::id::JwtId;
use crate::domain::revocation::Vouched;
use crate::domain::session::Record;
use crate::domain::time::Timestamp;

/// A JWT is for the moment: whoever verifies it may not hear of revocations.
pub const MAX_LIFETIME: Duration = Duration::from_mins(15);

/// Less would be over before it has arrived.
pub const MIN_LIFETIME: Duration = Duration::from_secs(10);

/// Names longer than this are no words.
const MAX_NAME: usize = 32;

/// In bytes: issuers and audiences longer than this would make JWTs too long to send.
const MAX_STRING_OR_URI: usize = 255;

/// A kind of JWT.
#[derive(Clone, Debug)]
pub struct Template {
    pub name: TemplateName,
    /// Whom it is meant for.
    pub audience: StringOrUri,
    pub lifetime: Duration,
    pub algorithm: Algorithm,
    pub additions: Vec<Addition>,
}

/// By which an app asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateName(String);

/// Who issues a JWT, or whom it is meant for: what has a colon in it is a URI (RFC 7519, 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringOrUri(String);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a word of 1 to {MAX_NAME} lower-case letters, digits, - and _, such as orders")]
pub struct InvalidTemplateName;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a URL such as https://orders.example.com, or a name without colons and spaces")]
pub struct InvalidStringOrUri;

/// A claim that only those get who need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addition {
    Email,
    Name,
    /// When a password was last verified (`OpenID` Connect Core, 2).
    AuthTime,
}

impl TemplateName {
    /// # Errors
    /// If it is no short word.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplateName> {
        let is_of_words =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        let is_word = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_of_words);
        is_word
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidTemplateName)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StringOrUri {
    /// # Errors
    /// If it is empty, or would be read differently by different people.
    pub fn parse(text: &str) -> Result<Self, InvalidStringOrUri> {
        let is_plain = (1..=MAX_STRING_OR_URI).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic());
        let is_either = !text.contains(':') || url::Url::parse(text).is_ok();
        (is_plain && is_either)
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidStringOrUri)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Of `http` and `https`.
impl From<url::Origin> for StringOrUri {
    fn from(origin: url::Origin) -> Self {
        Self(origin.ascii_serialization())
    }
}

impl Template {
    /// What a JWT of this kind says of a session that the view did not end where it stood
    /// before the session was read.
    ///
    /// It does not outlive the session's own limit, however late it is minted.
    #[must_use]
    pub fn claims(
        &self,
        issuer: &StringOrUri,
        record: &Record,
        stood_at: Vouched,
        now: Timestamp,
        entropy: [u8; 10],
    ) -> SessionClaims {
        let session = &record.session;
        let adds = |addition| self.additions.contains(&addition);
        SessionClaims {
            iss: issuer.as_str().to_owned(),
            sub: session.user_id,
            aud: Audience::One(self.audience.as_str().to_owned()),
            exp: session.expires_at.min(now + self.lifetime).into(),
            nbf: now.into(),
            iat: now.into(),
            jti: JwtId::new(now, entropy).to_string(),
            sid: session.id,
            roles: vec![record.role.as_str().to_owned()],
            rev: record.vouched.later(stood_at),
            email: adds(Addition::Email).then(|| record.email.as_str().to_owned()),
            name: adds(Addition::Name).then(|| record.name.as_str().to_owned()),
            auth_time: adds(Addition::AuthTime).then(|| session.authenticated_at.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::revocation::{LogNumber, MarkPrefix};
    use crate::domain::session::tests::record;

    fn template(additions: &[Addition]) -> Template {
        Template {
            name: TemplateName::parse("orders").unwrap(),
            audience: StringOrUri::parse("https://orders.example.com").unwrap(),
            lifetime: Duration::from_mins(5),
            algorithm: Algorithm::EdDsa,
            additions: additions.to_vec(),
        }
    }

    fn claims(additions: &[Addition], stood_at: u64, seconds: u64) -> Value {
        let record = record(5, 7);
        let now = record.session.issued_at() + Duration::from_secs(seconds);
        let issuer = StringOrUri::parse("https://auth.example.com").unwrap();
        let stood_at = Vouched {
            number: LogNumber::new(stood_at),
            mark: MarkPrefix([0x9f, 0x86, 0xd0, 0x81]),
        };
        let claims = template(additions).claims(&issuer, &record, stood_at, now, [9; 10]);
        serde_json::to_value(claims).unwrap()
    }

    #[test]
    fn a_jwt_ends_with_its_session_at_the_latest() {
        let times = |seconds| {
            let claims = claims(&[], 7, seconds);
            (claims["iat"].clone(), claims["exp"].clone())
        };
        assert_eq!(times(100), (json!(1100), json!(1400)));
        assert_eq!(times(699), (json!(1699), json!(1999)));
        assert_eq!(times(900), (json!(1900), json!(2000)));
        assert_eq!(times(999), (json!(1999), json!(2000)));
    }

    #[test]
    fn a_session_lived_where_it_was_read_and_where_the_view_stood() {
        assert_eq!(claims(&[], 6, 0)["rev"], "7-00000000");
        assert_eq!(claims(&[], 7, 0)["rev"], "7-00000000");
        assert_eq!(claims(&[], 9, 0)["rev"], "9-9f86d081");
    }

    #[test]
    fn who_does_not_ask_for_an_address_gets_none() {
        let names = |additions: &[Addition]| {
            let claims = claims(additions, 0, 0);
            let names = claims.as_object().unwrap().keys().cloned();
            names.collect::<Vec<_>>()
        };
        let always = [
            "aud", "exp", "iat", "iss", "jti", "nbf", "rev", "roles", "sid", "sub",
        ];
        assert_eq!(names(&[]), always);
        for (addition, name) in [
            (Addition::Email, "email"),
            (Addition::Name, "name"),
            (Addition::AuthTime, "auth_time"),
        ] {
            let mut expected = always.to_vec();
            expected.push(name);
            expected.sort_unstable();
            assert_eq!(names(&[addition]), expected);
        }
    }

    #[test]
    fn a_name_is_a_word_and_an_audience_is_plain() {
        for name in ["orders", "a", "order-service_2"] {
            assert!(TemplateName::parse(name).is_ok(), "{name}");
        }
        for name in ["", "Orders", "or ders", "a/b", &"a".repeat(33), "é"] {
            assert_eq!(
                TemplateName::parse(name),
                Err(InvalidTemplateName),
                "{name}"
            );
        }
        for text in [
            "orders",
            "https://orders.example.com/",
            "urn:example:orders",
        ] {
            assert!(StringOrUri::parse(text).is_ok(), "{text}");
        }
        for text in ["", "a b", "1:2", "https://", "é", "a\n"] {
            assert_eq!(StringOrUri::parse(text), Err(InvalidStringOrUri), "{text}");
        }
    }
}
