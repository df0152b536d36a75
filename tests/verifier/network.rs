//! The feed is cut, and taken up again.

use std::time::Duration;

use gatelodge::verifier::{Credential, Refused, Settings, Verifier};

use super::scene::{
    PROMISED, RECOVERY, assert_accepted, is_refused, mint, settings, spawn, verifier,
    verifier_by_proxy,
};
use crate::api::restore::Ledger;
use crate::support::Stack::{Embedded, Scaled};
use crate::support::proxy::{Mode, NewFlows};
use crate::support::{Browser, within};

/// P2: with one fault, a revocation holds by then.
const LEASE: Duration = Duration::from_secs(5);

fn is_current(verifier: &Verifier, jwt: &str) -> bool {
    verifier.verify(jwt).unwrap().is_current()
}

#[tokio::test]
async fn cut_off_a_verifier_says_so_and_hears_later_what_it_has_missed() {
    let app = spawn(Embedded).await;
    let (verifier, network) = verifier_by_proxy(&app).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut bob = app.registered("bob@example.com").await;
    let (missed, known) = (mint(&mut ada).await, mint(&mut bob).await);
    assert_eq!(bob.log_out().await.status, 204);
    is_refused(&verifier, &known, Refused::Ended).await;
    network.silence();
    assert_eq!(ada.log_out().await.status, 204);

    within(LEASE + PROMISED, "its lease ends", async || {
        !is_current(&verifier, &missed)
    })
    .await;
    assert_eq!(verifier.verify(&known).unwrap_err(), Refused::Ended);
    network.pass();
    within(RECOVERY, "it hears what it has missed", async || {
        verifier
            .verify(&missed)
            .is_err_and(|it| it == Refused::Ended)
    })
    .await;
    let another = mint(&mut app.logged_in("ada@example.com").await).await;
    assert_accepted(&verifier, &another);
}

#[tokio::test]
async fn a_stream_that_says_nothing_is_taken_up_elsewhere_within_the_lease() {
    let app = spawn(Embedded).await;
    let (verifier, network) = verifier_by_proxy(&app).await;
    let mut ada = app.registered("ada@example.com").await;
    let jwt = mint(&mut ada).await;
    assert_accepted(&verifier, &jwt);
    network.set(Mode::Silent(NewFlows::Pass));
    assert_eq!(ada.log_out().await.status, 204);
    within(LEASE, "it is refused", async || {
        verifier.verify(&jwt).is_err()
    })
    .await;
}

#[tokio::test]
async fn with_an_instance_gone_the_other_is_heard() {
    let killed = spawn(Scaled).await;
    let other = killed.another_instance().await;
    let (verifier, balancer) = verifier_by_proxy(&killed).await;
    let mut ada = other.registered("ada@example.com").await;
    let jwt = mint(&mut ada).await;
    assert_accepted(&verifier, &jwt);
    balancer.lead_to(other.address);
    balancer.cut();
    balancer.pass();
    drop(killed);
    assert_eq!(ada.log_out().await.status, 204);
    within(LEASE, "it is refused", async || {
        verifier.verify(&jwt).is_err()
    })
    .await;
    let mut bob = other.registered("bob@example.com").await;
    let jwt = mint(&mut bob).await;
    within(LEASE, "it is current", async || is_current(&verifier, &jwt)).await;
}

/// What was issued before may be of sessions whose end the log has lost.
#[tokio::test]
async fn after_the_log_was_set_back_what_was_issued_before_is_refused() {
    let app = spawn(Scaled).await;
    let verifier = verifier(app.address).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut bob = app.registered("bob@example.com").await;
    let mut ledger = Ledger::of(&app).await;
    ledger.back_up().await;
    let is_accepted = async |browser: &mut Browser| {
        within(RECOVERY, "a session mints", async || {
            browser.whoami().await.status == 200
        })
        .await;
        mint(browser).await
    };
    let (kept, lost) = (is_accepted(&mut ada).await, is_accepted(&mut bob).await);
    within(RECOVERY, "it is ended", async || {
        bob.log_out().await.status == 204
    })
    .await;
    within(RECOVERY, "that is heard", async || {
        verifier.verify(&lost).is_err_and(|it| it == Refused::Ended)
    })
    .await;
    assert!(verifier.verify(&kept).is_ok());
    ledger.restore().await;

    within(RECOVERY, "it is refused", async || {
        assert!(verifier.verify(&lost).is_err());
        verifier
            .verify(&kept)
            .is_err_and(|it| it == Refused::Outdated)
    })
    .await;
    within(RECOVERY, "what is issued now is accepted", async || {
        let path = "/api/sessions/whoami?tokenize_as=orders";
        let answer = ada.get(path).await;
        let jwt = answer.json()["tokenized"].as_str().map(str::to_owned);
        jwt.is_some_and(|jwt| verifier.verify(&jwt).is_ok_and(|it| it.is_current()))
    })
    .await;
    assert!(verifier.verify(&kept).is_err());
    assert!(verifier.verify(&lost).is_err());
}

#[tokio::test]
async fn without_the_feed_a_jwt_is_accepted_as_long_as_it_lives() {
    let app = spawn(Embedded).await;
    let alone = Settings {
        credential: None,
        ..settings(app.address)
    };
    let wrong = Credential::new("credential-of-somebody-quite-else").unwrap();
    let refused = Settings {
        credential: Some(wrong),
        ..settings(app.address)
    };
    let mut ada = app.registered("ada@example.com").await;
    let jwt = mint(&mut ada).await;
    assert_eq!(ada.log_out().await.status, 204);
    for settings in [alone, refused] {
        let verifier = Verifier::connect(settings).unwrap();
        within(RECOVERY, "it has keys", async || {
            verifier.verify(&jwt).is_ok()
        })
        .await;
        assert!(!is_current(&verifier, &jwt));
    }
}
