//! How long sessions live.

use std::time::Duration;

use rstest::rstest;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::servers::OwnRedis;
use crate::support::{Browser, TestApp, eventually};

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

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
        let before = last_seen(&mut ada).await;
        app.let_pass(119 * MINUTE);
        assert_ne!(last_seen(&mut ada).await, before);
    }
    app.let_pass(4 * MINUTE);
    ada.whoami().await.assert_refused();
}

/// Too little to tell the ledger of: the hot store carries it.
#[tokio::test]
async fn activity_on_one_instance_keeps_the_session_alive_on_another() {
    let first = TestApp::spawn(Scaled).await;
    let second = first.another_instance().await;
    let mut ada = first.registered("ada@example.com").await;
    first.let_pass(3 * MINUTE);
    let before = first.redis_copy().await;
    assert_eq!(ada.at(second.address).whoami().await.status, 200);
    eventually("the touch is written", async || {
        first.redis_copy().await != before
    })
    .await;
    first.let_pass(118 * MINUTE);
    assert_eq!(ada.whoami().await.status, 200);
}

/// Who is asked next may be another instance, a moment after the session would have
/// ended.
#[tokio::test]
async fn a_touch_just_before_the_end_is_known_everywhere_at_once() {
    let first = TestApp::spawn(Scaled).await;
    let second = first.another_instance().await;
    let mut ada = first.registered("ada@example.com").await;
    for _ in 0..5 {
        first.let_pass(3 * MINUTE);
        assert_eq!(ada.whoami().await.status, 200);
        first.let_pass(119 * MINUTE + 59 * SECOND);
        assert_eq!(ada.whoami().await.status, 200);
        // Touches are usually written twice a second.
        tokio::time::sleep(SECOND / 10).await;
        first.let_pass(SECOND);
        assert_eq!(ada.at(second.address).whoami().await.status, 200);
    }
}

/// A touch within the last fiftieth of the idle timeout is not recorded: that much
/// early a session may end, and no more.
#[rstest]
#[tokio::test]
async fn a_session_ends_a_fiftieth_of_the_idle_timeout_early_at_most(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    app.let_pass(Duration::from_secs(143));
    assert_eq!(ada.whoami().await.status, 200);
    app.let_pass(117 * MINUTE + Duration::from_secs(36));
    assert_eq!(ada.whoami().await.status, 200);
}

/// What the hot store alone knew, and what nobody noted since, is a twentieth of the
/// idle timeout at most.
#[rstest]
#[tokio::test]
async fn without_the_hot_store_a_session_ends_a_twentieth_early_at_most(
    #[values(215, 359)] noted_after: u64,
) {
    let app = TestApp::spawn(Scaled).await;
    let mut ada = app.registered("ada@example.com").await;
    let before = app.redis_copy().await;
    app.let_pass(Duration::from_secs(noted_after));
    assert_eq!(ada.whoami().await.status, 200);
    eventually("the touch is written", async || {
        app.redis_copy().await != before
    })
    .await;
    app.let_pass(Duration::from_secs(143));
    assert_eq!(ada.whoami().await.status, 200);
    app.empty_redis().await;
    app.let_pass(114 * MINUTE);
    let fresh = app.another_instance().await;
    assert_eq!(ada.at(fresh.address).whoami().await.status, 200);
}

#[tokio::test]
async fn what_the_hot_store_has_lost_the_instances_write_anew() {
    let app = TestApp::spawn(Scaled).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut gone = app.logged_in("ada@example.com").await;
    assert_eq!(gone.log_out().await.status, 204);
    app.empty_redis().await;
    app.let_pass(3 * MINUTE);
    gone.whoami().await.assert_refused();
    assert_eq!(ada.whoami().await.status, 200);
    eventually("the copy is back", async || {
        app.redis_copy().await.is_some()
    })
    .await;
}

#[tokio::test]
async fn what_the_hot_store_does_not_take_it_is_told_later() {
    let redis = OwnRedis::start();
    let app = TestApp::spawn_with(Scaled, &[("REDIS_URL", &redis.url())]).await;
    let mut ada = app.registered("ada@example.com").await;
    let before = app.redis_copy().await;
    app.let_pass(3 * MINUTE);
    redis.freeze();
    assert_eq!(ada.whoami().await.status, 200);
    // Longer than it takes to try, and to fail.
    tokio::time::sleep(Duration::from_secs(2)).await;
    redis.thaw();
    eventually("the touch is written", async || {
        app.redis_copy().await != before
    })
    .await;
}

/// The hot store hears of it before the ledger does; a copy that a change has
/// made stale still counts for that.
#[rstest]
#[tokio::test]
async fn having_been_seen_outlives_a_copy(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let issued = last_seen(&mut ada).await;
    app.let_pass(5 * MINUTE);
    let seen = last_seen(&mut ada).await;
    assert_ne!(seen, issued);
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
