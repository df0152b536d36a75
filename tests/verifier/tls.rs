//! With https, Gatelodge is whom a trusted authority says it is, or nobody.

use gatelodge::verifier::{Credential, Refused, Settings, Unusable, Verifier};

use super::relay::Relay;
use super::scene::{RECOVERY, assert_accepted, is_ready, mint, settings, spawn};
use crate::support::Stack::Embedded;
use crate::support::certificates::Authority;
use crate::support::within;

#[tokio::test]
async fn gatelodge_is_believed_with_the_right_authority_alone() {
    let app = spawn(Embedded).await;
    let (ours, other) = (Authority::new(), Authority::new());
    let relay = Relay::with_tls(&ours, app.address);
    let mut ada = app.registered("ada@example.com").await;
    let jwt = mint(&mut ada).await;
    let trusting = |ca: Option<&Authority>| {
        let address = format!("https://localhost:{}/", relay.address.port());
        Verifier::connect(Settings {
            address: address.parse().unwrap(),
            ca: ca.map(|authority| authority.pem.clone().into_bytes()),
            ..settings(app.address)
        })
    };
    let strangers = [trusting(Some(&other)).unwrap(), trusting(None).unwrap()];
    let verifier = trusting(Some(&ours)).unwrap();
    is_ready(&verifier).await;
    assert_accepted(&verifier, &jwt);
    assert_eq!(ada.log_out().await.status, 204);
    within(RECOVERY, "that is heard", async || {
        verifier.verify(&jwt).is_err_and(|it| it == Refused::Ended)
    })
    .await;
    for stranger in strangers {
        assert_eq!(stranger.verify(&jwt).unwrap_err(), Refused::NoKeys);
    }
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let usual = || settings(([127, 0, 0, 1], 1).into());
    let ca = Settings {
        ca: Some(b"certificates".to_vec()),
        ..usual()
    };
    assert!(matches!(Verifier::connect(ca), Err(Unusable::Certificates)));
    let address = Settings {
        address: "ftp://localhost".parse().unwrap(),
        ..usual()
    };
    assert!(matches!(Verifier::connect(address), Err(Unusable::Address)));
    let credential = Credential::new("two\nlines");
    assert!(matches!(credential, Err(Unusable::Credential)));
}
