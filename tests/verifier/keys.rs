//! Keys come and go; whoever names others has them asked for, and not often.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatelodge::domain::jwt;
use gatelodge::startup::generate_key;
use gatelodge::verifier::{Refused, Settings, Verifier};
use serde_json::json;

use super::relay::Relay;
use super::scene::{RECOVERY, mint, settings, spawn_with, verifier};
use crate::support::Stack::Embedded;
use crate::support::servers::free_port;
use crate::support::within;

/// Between two requests for the keys, at least.
const PAUSE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_new_key_is_found_and_no_flood_of_unknown_ones_asks_more_often() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let (old, new) = (generate_key(), generate_key());
    std::fs::write(&file, &old).unwrap();
    let keys_file = ("GATELODGE_SECRETS__KEYS_FILE", file.to_str().unwrap());
    let app = spawn_with(Embedded, &[keys_file]).await;
    let relay = Relay::before(app.address);
    let connected_at = Instant::now();
    let verifier = verifier(relay.address).await;
    let mut ada = app.registered("ada@example.com").await;
    let before = mint(&mut ada).await;
    assert!(verifier.verify(&before).is_ok());

    std::fs::write(&file, format!("{new}\n{old}")).unwrap();
    let mut after = String::new();
    within(RECOVERY, "the new key signs", async || {
        after = mint(&mut ada).await;
        header(&after) != header(&before)
    })
    .await;
    let unknown = Refused::Invalid(jwt::Refused::UnknownKey);
    let forged = json!({ "alg": "EdDSA", "kid": "../../jwks", "typ": "JWT" }).to_string();
    let forged = before.replacen(header(&before), &URL_SAFE_NO_PAD.encode(forged), 1);
    within(PAUSE + RECOVERY, "the new key is found", async || {
        for _ in 0..100 {
            assert_eq!(verifier.verify(&forged).unwrap_err(), unknown);
        }
        verifier.verify(&after).is_ok()
    })
    .await;
    assert!(
        verifier.verify(&before).is_ok(),
        "the old one is still there"
    );
    let most = 1 + connected_at.elapsed().as_millis() / PAUSE.as_millis();
    let asked = relay.asked_for_keys() as u128;
    assert!((2..=most).contains(&asked), "{asked}, {most}");
}

fn header(jwt: &str) -> &str {
    jwt.split('.').next().unwrap()
}

#[tokio::test]
async fn before_there_are_keys_nobody_can_tell() {
    let nobody = Settings {
        credential: None,
        ..settings(([127, 0, 0, 1], free_port()).into())
    };
    let verifier = Verifier::connect(nobody).unwrap();
    assert_eq!(verifier.verify("a.b.c").unwrap_err(), Refused::NoKeys);
}
