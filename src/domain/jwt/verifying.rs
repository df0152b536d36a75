//! Verifying: the length, the header, one signature check, and only then the claims.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use base64::Engine as _;
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::claims::Expected;
use super::jwk::{Foreign, ForeignSet};
use super::{Algorithm, BASE64, MAX_LENGTH};
use crate::domain::time::Timestamp;

/// A shared secret has as many bytes as its signatures at least (RFC 7518, 3.2).
const MIN_SECRET: usize = 32;

/// From 2048 bits (RFC 7518, 3.3) to 8192.
const RSA_BYTES: RangeInclusive<usize> = 256..=1024;

/// Why a token is not believed: for logs, and not for who presents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it is longer than {MAX_LENGTH} bytes")]
    Length,
    #[error("it does not consist of three parts in base64url")]
    Form,
    #[error("its header is not one")]
    Header,
    #[error("it needs an extension that is not known")]
    Critical,
    #[error("it is of another type")]
    Type,
    #[error("it names no known key")]
    UnknownKey,
    #[error("its algorithm is not that of its key")]
    Algorithm,
    #[error("its signature is wrong")]
    Signature,
    #[error("its claims are incomplete, or not what they should be")]
    Claims,
    #[error("it is somebody else's")]
    Issuer,
    #[error("it is meant for somebody else")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    Early,
    #[error("it lives too long")]
    Lifetime,
}

/// Keys that are believed, each for its algorithm.
#[derive(Clone)]
pub struct VerifyingKeys(Vec<VerifyingKey>);

#[derive(Clone)]
struct VerifyingKey {
    kid: Option<String>,
    algorithm: Algorithm,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Ed25519(Vec<u8>),
    P256(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Secret(hmac::Key),
}

/// Whoever has a key that is believed has signed this.
pub struct Authentic {
    names_key: bool,
    typ: Option<String>,
    claims: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Whether it is there, whatever it says.
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

fn is_there<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(from).map(|_| true)
}

/// An object and nothing else. (serde would take an array for it as well.)
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    let is_object = json.trim_ascii_start().starts_with(b"{");
    is_object.then(|| serde_json::from_slice(json).ok())?
}

impl VerifyingKeys {
    /// One secret that both sides know; `None` if it is shorter than 32 bytes (RFC 7518,
    /// 3.2).
    #[must_use]
    pub fn secret(secret: &[u8]) -> Option<Self> {
        Some(Self(vec![VerifyingKey {
            kid: None,
            algorithm: Algorithm::Hs256,
            material: Material::of_secret(secret)?,
        }]))
    }

    /// The keys of a JWK Set that are for one of these algorithms. Others are passed over,
    /// as are those that cannot be read (RFC 7517, 5).
    ///
    /// # Errors
    /// If it is no JWK Set.
    pub fn parse(set: &[u8], allowed: &[Algorithm]) -> Result<Self, serde_json::Error> {
        let set: ForeignSet = serde_json::from_slice(set)?;
        let keys = set.keys.into_iter().filter_map(|key| {
            let key = VerifyingKey::read(serde_json::from_value(key).ok()?)?;
            allowed.contains(&key.algorithm).then_some(key)
        });
        Ok(Self(keys.collect()))
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no token can name one of them, since another is named alike.
    #[must_use]
    pub fn are_ambiguous(&self) -> bool {
        let mut names = HashSet::new();
        // Without a name, there is the algorithm.
        let names_one = |key: &VerifyingKey| {
            names.insert((key.kid.clone(), key.kid.is_none().then_some(key.algorithm)))
        };
        !self.0.iter().all(names_one)
    }

    /// What somebody has signed whose key is here.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn authentic(&self, jwt: &str) -> Result<Authentic, Refused> {
        if jwt.len() > MAX_LENGTH {
            return Err(Refused::Length);
        }
        let (message, signature) = jwt.rsplit_once('.').ok_or(Refused::Form)?;
        let (header, claims) = message.split_once('.').ok_or(Refused::Form)?;
        let part = |text: &str| BASE64.decode(text).map_err(|_| Refused::Form);
        let (header, claims, signature) = (part(header)?, part(claims)?, part(signature)?);
        let header: Header = object(&header).ok_or(Refused::Header)?;
        if header.crit {
            return Err(Refused::Critical);
        }
        let key = self.named(&header)?;
        if header.alg != key.algorithm.as_str() {
            return Err(Refused::Algorithm);
        }
        if !key.material.has_signed(message.as_bytes(), &signature) {
            return Err(Refused::Signature);
        }
        Ok(Authentic {
            names_key: header.kid.is_some(),
            typ: header.typ,
            claims,
        })
    }

    /// The one key that a token can be of. If it names none, there must be no choice.
    fn named(&self, header: &Header) -> Result<&VerifyingKey, Refused> {
        let mut keys = self.0.iter().filter(|key| match (&header.kid, &key.kid) {
            (Some(named), Some(kid)) => named == kid,
            (None, _) | (_, None) => header.alg == key.algorithm.as_str(),
        });
        match (keys.next(), keys.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(Refused::UnknownKey),
        }
    }
}

impl VerifyingKey {
    fn read(key: Foreign) -> Option<Self> {
        let part = |text: Option<String>| BASE64.decode(text?).ok();
        let of_256_bits = |text| part(text).filter(|bytes| bytes.len() == 32);
        let (algorithm, material) = match (key.kty.as_str(), key.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => (Algorithm::EdDsa, Material::Ed25519(of_256_bits(key.x)?)),
            ("EC", Some("P-256")) => {
                // SEC 1, 2.3.3: both coordinates follow.
                let point = [vec![4], of_256_bits(key.x)?, of_256_bits(key.y)?].concat();
                (Algorithm::Es256, Material::P256(point))
            }
            ("RSA", None) => {
                let (n, e) = (part(key.n)?, part(key.e)?);
                if !RSA_BYTES.contains(&n.len()) {
                    return None;
                }
                (Algorithm::Rs256, Material::Rsa { n, e })
            }
            ("oct", None) => (Algorithm::Hs256, Material::of_secret(&part(key.k)?)?),
            _ => return None,
        };
        let is_for_signatures = key.usage.is_none_or(|usage| usage == "sig");
        let is_for_it = key.alg.is_none_or(|alg| alg == algorithm.as_str());
        (is_for_signatures && is_for_it).then_some(Self {
            kid: key.kid,
            algorithm,
            material,
        })
    }
}

impl Material {
    fn of_secret(secret: &[u8]) -> Option<Self> {
        let is_long_enough = secret.len() >= MIN_SECRET;
        is_long_enough.then(|| Self::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key)
                .verify(message, signature)
                .is_ok(),
            Self::P256(key) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
                .verify(message, signature)
                .is_ok(),
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            Self::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

impl Authentic {
    /// Whether it says whose it is. Ours do; other systems have one key, and need not.
    #[must_use]
    pub const fn names_key(&self) -> bool {
        self.names_key
    }

    /// Whether its header says that it is of that type (RFC 8725, 3.11).
    #[must_use]
    pub fn is_of_type(&self, typ: &str) -> bool {
        self.typ.as_deref() == Some(typ)
    }

    /// What it claims, if that holds at `now`, and all of `C` is there.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn claims<C: DeserializeOwned>(
        &self,
        expected: &Expected,
        now: Timestamp,
    ) -> Result<C, Refused> {
        expected.check(&self.claims, now)?;
        serde_json::from_slice(&self.claims).map_err(|_| Refused::Claims)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use ring::rand::SystemRandom;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::jwt::{Jwk, JwkSet, SigningKey, TYPE};

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
    const SECONDS: i64 = 1_790_000_000;
    const SECRET: &[u8] = b"a secret of thirty-two bytes, or a few more";

    /// Of RFC 8037, A.1.
    const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

    fn key() -> SigningKey {
        let seed = BASE64.decode(SEED).unwrap();
        SigningKey::ed25519(&seed.try_into().unwrap())
    }

    fn keys(public: &[&Jwk], allowed: &[Algorithm]) -> VerifyingKeys {
        let keys = public.iter().map(|key| (*key).clone()).collect();
        let set = serde_json::to_vec(&JwkSet { keys }).unwrap();
        VerifyingKeys::parse(&set, allowed).unwrap()
    }

    fn expected() -> Expected {
        Expected {
            issuer: "https://auth.example.com".to_owned(),
            audience: "orders".to_owned(),
        }
    }

    fn claims() -> Value {
        json!({
            "iss": "https://auth.example.com", "aud": "orders",
            "exp": SECONDS + 300, "nbf": SECONDS, "iat": SECONDS, "sub": "ada",
        })
    }

    fn signed(claims: &Value) -> String {
        key().sign(claims, &SystemRandom::new()).unwrap()
    }

    fn verified(keys: &VerifyingKeys, jwt: &str) -> Result<Value, Refused> {
        keys.authentic(jwt)?.claims(&expected(), NOW)
    }

    fn believed(jwt: &str) -> Result<Value, Refused> {
        verified(&keys(&[key().public()], &[Algorithm::EdDsa]), jwt)
    }

    /// Signed with a secret, whatever the header says.
    pub(crate) fn signed_by(secret: &[u8], header: &str, claims: &Value) -> String {
        let parts = [header, &claims.to_string()].map(|part| BASE64.encode(part));
        let message = parts.join(".");
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let signature = hmac::sign(&secret, message.as_bytes());
        format!("{message}.{}", BASE64.encode(signature))
    }

    fn with_header(header: &str) -> String {
        signed_by(SECRET, header, &claims())
    }

    /// RFC 8037, A.2 to A.4.
    #[test]
    fn the_example_of_the_rfc_verifies_and_its_key_has_the_thumbprint() {
        let key = key();
        assert_eq!(
            key.public().kid(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
        let published = serde_json::to_value(key.public()).unwrap();
        assert_eq!(
            published["x"],
            "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        );
        let example = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
            hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let authentic = keys(&[key.public()], &[Algorithm::EdDsa]).authentic(example);
        assert_eq!(
            authentic.map(|it| (it.names_key(), it.claims)),
            Ok((false, b"Example of Ed25519 signing".to_vec()))
        );
    }

    #[test]
    fn what_is_signed_is_believed_for_whom_and_as_long_as_it_says() {
        let jwt = signed(&claims());
        assert_eq!(believed(&jwt), Ok(claims()));
        let authentic = keys(&[key().public()], &[Algorithm::EdDsa]).authentic(&jwt);
        assert!(authentic.is_ok_and(|it| it.is_of_type(TYPE) && it.names_key()));

        for (name, value, outcome) in [
            (
                "iss",
                json!("https://auth.example.com/"),
                Err(Refused::Issuer),
            ),
            ("iss", json!(1), Err(Refused::Claims)),
            ("iss", Value::Null, Err(Refused::Claims)),
            ("aud", json!(["payments", "orders"]), Ok(())),
            ("aud", json!(["payments"]), Err(Refused::Audience)),
            ("aud", json!([]), Err(Refused::Audience)),
            ("aud", json!({"orders": 1}), Err(Refused::Claims)),
            ("exp", json!(SECONDS + 1), Ok(())),
            ("exp", json!(1_790_000_001.5), Ok(())),
            ("exp", json!(SECONDS), Err(Refused::Expired)),
            ("exp", json!(-1), Err(Refused::Expired)),
            ("exp", json!(i64::MIN), Err(Refused::Expired)),
            ("exp", json!(u64::MAX), Ok(())),
            ("exp", json!("1999999999"), Err(Refused::Claims)),
            ("exp", json!([SECONDS + 300]), Err(Refused::Claims)),
            ("exp", json!(true), Err(Refused::Claims)),
            ("exp", Value::Null, Err(Refused::Claims)),
            ("nbf", json!(SECONDS + 5), Ok(())),
            ("nbf", json!(SECONDS + 6), Err(Refused::Early)),
            ("iat", json!(SECONDS + 6), Err(Refused::Early)),
            ("iat", json!("now"), Err(Refused::Claims)),
        ] {
            let mut claims = claims();
            claims[name] = value;
            let found = believed(&signed(&claims)).map(|_| ());
            assert_eq!(found, outcome, "{claims}");
        }
        for missing in ["iss", "aud", "exp"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(missing);
            assert_eq!(
                believed(&signed(&claims)),
                Err(Refused::Claims),
                "{missing}"
            );
        }
    }

    /// RFC 8725, 2.1 and 3.1.
    #[test]
    fn no_header_chooses_how_it_is_verified() {
        let public = serde_json::to_value(key().public()).unwrap();
        let point = public["x"].as_str().unwrap();
        let kid = key().public().kid().to_owned();
        let secrets = [SECRET, point.as_bytes(), &BASE64.decode(point).unwrap()];
        for secret in secrets {
            for (header, why) in [
                (json!({"alg": "none", "kid": kid}), Refused::Algorithm),
                (json!({"alg": "None"}), Refused::UnknownKey),
                (json!({"alg": "HS256", "kid": kid}), Refused::Algorithm),
                (json!({"alg": "HS256"}), Refused::UnknownKey),
                (json!({"alg": "EdDSA"}), Refused::Signature),
                (
                    json!({"alg": "EdDSA", "kid": "../../key"}),
                    Refused::UnknownKey,
                ),
                (json!({"alg": "EdDSA", "kid": 1}), Refused::Header),
                (json!({"alg": ["EdDSA"]}), Refused::Header),
                (json!({"alg": "EdDSA", "jwk": public}), Refused::Signature),
                (
                    json!({"alg": "EdDSA", "jku": "https://a"}),
                    Refused::Signature,
                ),
                (
                    json!({"alg": "EdDSA", "crit": ["exp"], "exp": 1}),
                    Refused::Critical,
                ),
                (json!({"kid": kid}), Refused::Header),
                (json!({"alg": "EdDSA", "crit": null}), Refused::Critical),
                (json!("EdDSA"), Refused::Header),
                (json!(["EdDSA", kid, "JWT", null]), Refused::Header),
            ] {
                let jwt = signed_by(secret, &header.to_string(), &claims());
                assert_eq!(believed(&jwt), Err(why), "{header}");
            }
        }
        let twice = format!(r#"{{"alg":"none","alg":"EdDSA","kid":"{kid}"}}"#);
        assert_eq!(believed(&with_header(&twice)), Err(Refused::Header));
    }

    #[test]
    fn a_shared_secret_verifies_its_own_algorithm_alone() {
        let keys = VerifyingKeys::secret(SECRET).unwrap();
        for (header, is_believed) in [
            (r#"{"alg":"HS256"}"#, true),
            (r#"{"alg":"HS256","kid":"theirs","typ":"JWT"}"#, true),
            (r#"{"alg":"HS384"}"#, false),
            (r#"{"alg":"none"}"#, false),
        ] {
            let found = verified(&keys, &with_header(header));
            assert_eq!(found.is_ok(), is_believed, "{header}");
        }
        assert!(VerifyingKeys::secret(&SECRET[..31]).is_none());
    }

    #[test]
    fn a_key_is_there_only_for_an_algorithm_that_is_allowed() {
        let jwt = signed(&claims());
        let keys = keys(&[key().public()], &[Algorithm::Es256, Algorithm::Rs256]);
        assert!(keys.is_empty());
        assert_eq!(verified(&keys, &jwt), Err(Refused::UnknownKey));
    }

    #[test]
    fn of_a_set_only_what_can_be_used_is_taken() {
        let usable = serde_json::to_value(key().public()).unwrap();
        let mut encrypting = usable.clone();
        encrypting["use"] = json!("enc");
        let set = json!({"keys": [
            usable, encrypting, "key", {"kty": "OKP", "crv": "X25519", "x": usable["x"]},
            {"kty": "oct", "k": "c2hvcnQ"}, {"kty": "RSA", "n": "!", "e": "AQAB"},
            {"kty": "RSA", "n": "c2hvcnQ", "e": "AQAB"},
            {"kty": "OKP", "crv": "Ed25519", "x": "c2hvcnQ"},
        ]});
        let all = [Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256];
        let keys = VerifyingKeys::parse(set.to_string().as_bytes(), &all).unwrap();
        assert_eq!(keys.0.len(), 1);
        assert!(VerifyingKeys::parse(b"{}", &all).is_err());
        assert!(VerifyingKeys::parse(b"-----BEGIN PUBLIC KEY-----", &all).is_err());
    }

    #[test]
    fn what_is_not_three_parts_in_base64url_is_refused() {
        let jwt = signed(&claims());
        let (message, signature) = jwt.rsplit_once('.').unwrap();
        for wrong in [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            message.to_owned(),
            format!("{message}."),
            format!("{jwt}."),
            format!("{jwt}="),
            format!(" {jwt}"),
            format!("{message}.{signature}.{signature}"),
            format!("{message}.{}", signature.replace(['-', '_'], "+")),
            format!("{jwt}{}", "A".repeat(MAX_LENGTH)),
        ] {
            assert!(believed(&wrong).is_err(), "{wrong}");
        }
        let long = "A".repeat(MAX_LENGTH + 1);
        assert_eq!(believed(&long), Err(Refused::Length));
    }

    proptest! {
        #[test]
        fn a_token_with_any_byte_changed_is_refused(at in any::<prop::sample::Index>(), to in 0x20u8..0x7f) {
            let jwt = signed(&claims());
            let mut bytes = jwt.clone().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let changed = String::from_utf8(bytes).unwrap();
            prop_assert!(believed(&changed).is_err());
        }
    }
}
