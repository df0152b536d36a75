//! `exchange.*`: whose JWTs are exchanged for a session, if anybody's.

use std::path::Path;

use super::reader::{Reader, read_file};
use crate::domain::exchange::{ForeignIssuer, UserClaim};
use crate::domain::jwt::{Algorithm, Expected, VerifyingKeys};
use crate::domain::text::is_deceptive;

const ISSUER: &str = "exchange.issuer";
const AUDIENCE: &str = "exchange.audience";
const SECRET: &str = "exchange.secret";
const JWKS_FILE: &str = "exchange.jwks_file";
const USER_CLAIM: &str = "exchange.user_claim";
const EMAIL_CLAIM: &str = "exchange.email_claim";
const KEYS: [&str; 6] = [ISSUER, AUDIENCE, SECRET, JWKS_FILE, USER_CLAIM, EMAIL_CLAIM];

const ALGORITHMS: &[Algorithm] = &[
    Algorithm::EdDsa,
    Algorithm::Es256,
    Algorithm::Rs256,
    Algorithm::Hs256,
];

pub(super) fn read(from: &mut Reader) -> Option<ForeignIssuer> {
    let given = KEYS.map(|key| from.is_given(key));
    let issuer = from.optional(
        ISSUER,
        "Has JWTs of another system exchanged for a session, once each: their `iss`. Unset: \
         none are",
        claim,
    );
    let audience = from.optional(AUDIENCE, "Their `aud`, or one of several", claim);
    let secret = from.secret(
        SECRET,
        None,
        "The secret that they are signed with (HS256), 32 bytes or more",
        |text| {
            let keys = VerifyingKeys::secret(text.as_bytes());
            keys.ok_or_else(|| "32 bytes at least (RFC 7518, 3.2)".to_owned())
        },
    );
    let keys = from.optional(
        JWKS_FILE,
        "Or the file of a JWK Set with the keys that they are signed with: Ed25519, P-256 \
         (ES256), RSA (RS256), or secrets (HS256). Read at the start",
        key_set,
    );
    let id = from.value(
        USER_CLAIM,
        "sub",
        "The claim that is the id (UUID) of a user here",
        claim,
    );
    let email = from.optional(
        EMAIL_CLAIM,
        "Or the claim that is the e-mail address of a user here",
        claim,
    );
    look_at_the_whole(from, given);
    Some(ForeignIssuer {
        expected: Expected {
            issuer: issuer?,
            audience: audience?,
        },
        keys: secret.or(keys)?,
        user_claim: email.map_or(UserClaim::Id(id), UserClaim::Email),
    })
}

fn look_at_the_whole(from: &mut Reader, given: [bool; 6]) {
    let [issuer, audience, secret, keys, id, email] = given;
    if !issuer {
        for (key, _) in KEYS.iter().zip(given).filter(|(_, is_given)| *is_given) {
            from.mistake(key, &format!("is set; {ISSUER} is missing"));
        }
        return;
    }
    if id && email {
        from.mistake(
            USER_CLAIM,
            &format!("and {EMAIL_CLAIM} are both set; leave one out"),
        );
    }
    if !audience {
        from.mistake(AUDIENCE, &format!("is missing; {ISSUER} is set"));
    }
    match (secret, keys) {
        (true, true) => {
            from.mistake(
                SECRET,
                &format!("and {JWKS_FILE} are both set; leave one out"),
            );
        }
        (false, false) => {
            let missing = format!("is missing, or {JWKS_FILE}; {ISSUER} is set");
            from.mistake(SECRET, &missing);
        }
        (true, false) | (false, true) => {}
    }
}

fn claim(text: &str) -> Result<String, String> {
    if text.chars().any(is_deceptive) {
        return Err("text on one line, exactly as in the JWT".to_owned());
    }
    Ok(text.to_owned())
}

/// What is in the file may be secret, and is not told.
fn key_set(path: &str) -> Result<VerifyingKeys, String> {
    let right = |wrong: &str| {
        format!(
            "the path of a JWK Set (RFC 7517) with a key for EdDSA, ES256, RS256 or HS256 ({wrong})"
        )
    };
    let set = read_file(Path::new(path)).map_err(|error| right(&error.to_string()))?;
    let keys = VerifyingKeys::parse(set.as_bytes(), ALGORITHMS);
    let keys = keys.map_err(|_| right("this is none"))?;
    if keys.is_empty() {
        return Err(right("there is none in this one"));
    }
    if keys.are_ambiguous() {
        return Err(right("two in this one have the same kid, or none"));
    }
    Ok(keys)
}
