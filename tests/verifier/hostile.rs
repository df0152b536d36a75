//! Tokens of people who want to be believed.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatelodge::config::secret_key;
use gatelodge::domain::jwt::Refused::{
    Audience, Claims, Early, Expired, Form, Issuer, Length, Lifetime, Signature,
};
use gatelodge::domain::keys::KeyRing;
use gatelodge::startup::generate_key;
use gatelodge::verifier::Refused;
use ring::hmac;
use ring::rand::SystemRandom;
use serde_json::{Value, json};

use super::scene::{assert_accepted, mint, mint_as, spawn_with, verifier};
use crate::support::Stack::Embedded;

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

#[expect(clippy::disallowed_methods, reason = "a token says what time it is")]
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

#[tokio::test]
async fn a_token_is_believed_for_its_signature_by_a_known_key_and_nothing_else() {
    let app = spawn_with(Embedded, &[]).await;
    let verifier = verifier(app.address).await;
    let mut ada = app.registered("ada@example.com").await;
    let jwt = mint(&mut ada).await;
    assert_accepted(&verifier, &jwt);
    let [header, claims, signature] = jwt.split('.').collect::<Vec<_>>()[..] else {
        panic!("{jwt}")
    };
    let (kid, alg) = (&decoded(header)["kid"], "EdDSA");
    let published = ada.get("/.well-known/jwks.json").await.json();
    let public = &published["keys"][0];
    let elsewhere = format!("http://{}/.well-known/jwks.json", app.address);

    let headers = [
        json!({ "alg": "none", "kid": kid, "typ": "JWT" }),
        json!({ "alg": "None", "kid": kid, "typ": "JWT" }),
        json!({ "alg": "HS256", "kid": kid, "typ": "JWT" }),
        json!({ "alg": "RS256", "kid": kid, "typ": "JWT" }),
        json!({ "alg": "ES256", "kid": kid, "typ": "JWT" }),
        json!({ "alg": alg, "kid": kid, "typ": "JWT", "jwk": public }),
        json!({ "alg": alg, "kid": kid, "typ": "JWT", "jku": elsewhere }),
        json!({ "alg": alg, "kid": kid, "typ": "JWT", "x5u": elsewhere }),
        json!({ "alg": alg, "kid": kid, "typ": "JWT", "crit": ["b64"], "b64": false }),
        json!({ "alg": alg, "kid": "../../../etc/passwd", "typ": "JWT" }),
        json!({ "alg": alg, "kid": "' or 1=1 --", "typ": "JWT" }),
        json!({ "alg": alg, "kid": elsewhere, "typ": "JWT" }),
        json!({ "alg": alg, "kid": 1, "typ": "JWT" }),
        json!({ "alg": alg, "typ": "JWT" }),
        json!({ "kid": kid }),
        json!([]),
    ];
    let secret = public["x"].as_str().unwrap();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    for header in headers {
        let message = format!("{}.{claims}", encoded(&header));
        let by_secret = URL_SAFE_NO_PAD.encode(hmac::sign(&secret, message.as_bytes()));
        for signature in ["", signature, &by_secret] {
            let refused = verifier.verify(&format!("{message}.{signature}"));
            assert!(matches!(refused, Err(Refused::Invalid(_))), "{header}");
        }
    }
    let mut promoted = decoded(claims);
    promoted["roles"] = json!(["admin"]);
    let long = "A".repeat(1024 * 1024);
    for (wrong, why) in [
        (
            format!("{header}.{}.{signature}", encoded(&promoted)),
            Signature,
        ),
        (format!("{header}.{claims}"), Form),
        (format!("{jwt}.{signature}"), Form),
        (format!("{jwt}="), Form),
        (format!("{header}.{long}.{signature}"), Length),
        (String::new(), Form),
        (mint_as(&mut ada, "notes").await, Audience),
    ] {
        let refused = verifier.verify(&wrong).unwrap_err();
        assert_eq!(refused, Refused::Invalid(why));
    }
    assert_accepted(&verifier, &jwt);
}

/// Somebody has the key, and does not know what to write.
#[tokio::test]
async fn what_a_known_key_has_signed_must_say_all_that_it_should() {
    let secret = generate_key();
    let app = spawn_with(Embedded, &[("GATELODGE_SECRETS__KEYS", &secret)]).await;
    let verifier = verifier(app.address).await;
    let mut ada = app.registered("ada@example.com").await;
    let minted = mint(&mut ada).await;
    let claims = decoded(minted.split('.').nth(1).unwrap());
    let keys = KeyRing::new(&secret_key(&secret).unwrap(), &[]);
    let signed = |claims: &Value| keys.sign_jwt(claims, &SystemRandom::new()).unwrap();
    assert_accepted(&verifier, &signed(&claims));

    let hour = 3600;
    for (name, value, why) in [
        ("exp", json!(now() - 1), Expired),
        ("exp", json!(0), Expired),
        ("exp", json!(-1), Expired),
        ("exp", json!((now() + hour).to_string()), Claims),
        ("exp", json!([now() + hour]), Claims),
        ("exp", json!({}), Claims),
        ("exp", json!(true), Claims),
        ("exp", Value::Null, Claims),
        ("nbf", json!(now() + hour), Early),
        ("iat", json!(now() + hour), Early),
        (
            "iss",
            json!("https://auth.example.com.evil.example"),
            Issuer,
        ),
        ("iss", json!(["https://auth.example.com"]), Claims),
        ("aud", json!("order"), Audience),
        ("aud", json!([]), Audience),
        ("aud", json!({ "orders": true }), Claims),
        ("sub", json!("ada"), Claims),
        ("sid", json!(1), Claims),
        ("rev", json!(1), Claims),
        ("rev", json!("1"), Claims),
        ("rev", json!("-1-00000000"), Claims),
        ("exp", json!(now() + hour), Lifetime),
        ("roles", json!("admin"), Claims),
    ] {
        let mut wrong = claims.clone();
        wrong[name] = value;
        let refused = verifier.verify(&signed(&wrong)).unwrap_err();
        assert_eq!(refused, Refused::Invalid(why), "{wrong}");
    }
    for name in [
        "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "roles", "rev",
    ] {
        let mut wrong = claims.clone();
        wrong.as_object_mut().unwrap().remove(name);
        let refused = verifier.verify(&signed(&wrong)).unwrap_err();
        assert_eq!(refused, Refused::Invalid(Claims), "without {name}");
    }
}
