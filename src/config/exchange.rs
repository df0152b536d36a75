//! `exchange.*`: whose JWTs are exchanged for a session, if anybody's.

use std::path::Path;

use super::reader::Reader;
use super::values::read_file;
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

/// Their issuer, as far as it is known, and all of it once it is right.
pub(super) fn read(from: &mut Reader) -> (Option<String>, Option<ForeignIssuer>) {
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
    let keys = from.optional_file(
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
    look_at_the_whole(from);
    let expected = issuer.clone().zip(audience);
    let foreign = expected.zip(secret.or(keys));
    let foreign = foreign.map(|((issuer, audience), keys)| ForeignIssuer {
        expected: Expected { issuer, audience },
        keys,
        user_claim: email.map_or(UserClaim::Id(id), UserClaim::Email),
    });
    (issuer, foreign)
}

/// It is described whole or not at all.
fn look_at_the_whole(from: &mut Reader) {
    let given = KEYS.into_iter().filter(|key| from.is_given(key));
    let given: Vec<_> = given.collect();
    if given.is_empty() {
        return;
    }
    let others = given.join(", ");
    for key in [ISSUER, AUDIENCE] {
        if !given.contains(&key) {
            from.mistake(key, &format!("is missing: set it, or leave out {others}"));
        }
    }
    if !given.contains(&SECRET) && !given.contains(&JWKS_FILE) {
        let missing = format!("is missing: set it or {JWKS_FILE}, or leave out {others}");
        from.mistake(SECRET, &missing);
    }
    for (one, other) in [(SECRET, JWKS_FILE), (USER_CLAIM, EMAIL_CLAIM)] {
        if given.contains(&one) && given.contains(&other) {
            from.mistake(one, &format!("and {other} are both set; leave one out"));
        }
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
