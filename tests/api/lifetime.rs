//! How long sessions live.

use std::time::Duration;

use rstest::rstest;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::{Browser, TestApp, eventually};

const MINUTE: Duration = Duration::from_mins(1);

#[rstest]
#[tokio::test]
async fn a_session_not_used_for_the_idle_timeout_ends(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut unused = app.logged_in("ada@example.com").await;
    app.let_pass(119 * MINUTE);
    assert_eq!(ada.whoami().await.status, 200);
    app.let_pass(2 * MINUTE);
    unused.whoami().await.assert_refused();
}

#[rstest]
#[tokio::test]
async fn a_session_in_use_lives_on_until_its_lifetime_is_over(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn_with(stack, &[("GATELODGE_SESSION__LIFETIME", "6h")]).await;
    let mut ada = app.registered("ada@example.com").await;
    for _ in 0..3 {
        app.let_pass(119 * MINUTE);
        let before = last_seen(&mut ada).await;
        eventually("the touch is recorded", async || {
            last_seen(&mut ada).await != before
        })
        .await;
    }
    app.let_pass(4 * MINUTE);
    ada.whoami().await.assert_refused();
}

#[tokio::test]
async fn activity_on_one_instance_keeps_the_session_alive_on_another() {
    let first = TestApp::spawn(Scaled).await;
    let second = first.another_instance().await;
    let mut ada = first.registered("ada@example.com").await;
    let mut at_second = ada.at(second.address);
    first.let_pass(119 * MINUTE);
    let before = last_seen(&mut at_second).await;
    eventually("the touch is recorded", async || {
        last_seen(&mut at_second).await != before
    })
    .await;
    first.let_pass(119 * MINUTE);
    assert_eq!(ada.whoami().await.status, 200);
}

/// The hot store hears of it before the ledger does; a copy that a change has
/// made stale still counts for that.
#[rstest]
#[tokio::test]
async fn having_been_seen_outlives_a_copy(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    app.let_pass(5 * MINUTE);
    let issued = last_seen(&mut ada).await;
    eventually("the touch is recorded", async || {
        last_seen(&mut ada).await != issued
    })
    .await;
    let seen = last_seen(&mut ada).await;
    let body = serde_json::json!({ "name": "Ada Lovelace" });
    assert_eq!(ada.update_account(&body).await.status, 200);
    assert_eq!(last_seen(&mut ada).await, seen);
}

async fn last_seen(browser: &mut Browser) -> String {
    let whoami = browser.whoami().await;
    assert_eq!(whoami.status, 200);
    whoami.json()["session"]["last_seen_at"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[rstest]
#[tokio::test]
async fn the_limits_can_be_set_down_to_a_second(#[values(Embedded, Scaled)] stack: Stack) {
    let limits = [
        ("GATELODGE_SESSION__IDLE_TIMEOUT", "1s"),
        ("GATELODGE_SESSION__LIFETIME", "2s"),
    ];
    let app = TestApp::spawn_with(stack, &limits).await;
    let mut ada = app.registered("ada@example.com").await;
    let session = ada.whoami().await.json()["session"].clone();
    let at = |field: &str| session[field].as_str().unwrap().to_owned();
    assert!(at("idle_expires_at") < at("expires_at"));
    app.let_pass(Duration::from_millis(1_001));
    ada.whoami().await.assert_refused();
}
