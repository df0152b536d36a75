//! When a store does not answer.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use sqlx::{Connection as _, PgConnection};

use crate::support::Stack::Scaled;
use crate::support::app::PASSWORD;
use crate::support::{Browser, TestApp, within};

/// A Redis that takes connections and says nothing.
fn silent() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test]
async fn with_a_silent_redis_everything_goes_on() {
    let (_listener, url) = silent();
    let app = TestApp::spawn_with(Scaled, &[("REDIS_URL", &url)]).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut other = app.logged_in("ada@example.com").await;
    assert_eq!(ada.whoami().await.status, 200);
    assert_eq!(ada.revoke_others().await.status, 200);
    other.whoami().await.assert_refused();
    assert_eq!(ada.log_out().await.status, 204);
}

#[tokio::test]
async fn with_a_silent_redis_a_check_waits_for_it_once() {
    const PATIENCE: Duration = Duration::from_secs(1);
    let (_listener, url) = silent();
    let settings = [
        ("REDIS_URL", url.as_str()),
        ("GATELODGE_REDIS__COMMAND_TIMEOUT", "1s"),
    ];
    let app = TestApp::spawn_with(Scaled, &settings).await;
    let ada = app.registered("ada@example.com").await;
    let fresh = app.another_instance().await;
    let asked_at = Instant::now();
    assert_eq!(ada.at(fresh.address).whoami().await.status, 200);
    let taken = asked_at.elapsed();
    assert!(taken < PATIENCE + PATIENCE / 2, "{taken:?}");
}

/// The ledger alone can say then that a session is idle, so it must hear in time
/// that it is not.
#[tokio::test]
async fn with_a_silent_redis_the_ledger_hears_at_once_who_was_seen() {
    const SESSIONS: i64 = 40;
    let (_listener, url) = silent();
    let app = TestApp::spawn_with(Scaled, &[("REDIS_URL", &url)]).await;
    let emails: Vec<_> = (0..SESSIONS)
        .map(|n| format!("user{n}@example.com"))
        .collect();
    let mut browsers = join_all(emails.iter().map(|email| app.registered(email))).await;
    app.let_pass(Duration::from_mins(100));
    let checks = join_all(browsers.iter_mut().map(Browser::whoami)).await;
    assert!(checks.iter().all(|answer| answer.status == 200));

    let mut ledger = PgConnection::connect(app.database_url()).await.unwrap();
    let limit = Duration::from_secs(4);
    within(limit, "the ledger has heard of all", async || {
        let (heard,): (i64,) = sqlx::query_as(
            "select count(*) from sessions where last_seen_at > now() + interval '1 hour'",
        )
        .fetch_one(&mut ledger)
        .await
        .unwrap();
        heard == SESSIONS
    })
    .await;
    app.let_pass(Duration::from_mins(100));
    let checks = join_all(browsers.iter_mut().map(Browser::whoami)).await;
    assert!(checks.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn without_its_ledger_an_instance_is_not_ready_and_calls_nobody_logged_out() {
    let settings = [
        ("GATELODGE_SESSION__LEASE", "1s"),
        ("GATELODGE_SESSION__LEDGER_GRACE", "0s"),
    ];
    let app = TestApp::spawn_with(Scaled, &settings).await;
    let mut ada = app.registered("ada@example.com").await;
    app.allow_ledger(false).await;
    within(Duration::from_secs(3), "the lease is over", async || {
        let answer = ada.whoami().await;
        assert!(matches!(answer.status, 200 | 503), "{}", answer.text);
        answer.status == 503
    })
    .await;
    ada.whoami().await.assert_problem(503, "unavailable");
    ada.log_out().await.assert_problem(503, "unavailable");
    app.browser()
        .log_in("ada@example.com", PASSWORD)
        .await
        .assert_problem(503, "unavailable");
    let mut nobody = app.browser();
    let ready = nobody.request(Method::GET, "/health/ready");
    nobody.send(ready).await.assert_problem(503, "stale_view");
    let alive = nobody.request(Method::GET, "/health/alive");
    assert_eq!(nobody.send(alive).await.status, 200);
    nobody.whoami().await.assert_refused();

    app.allow_ledger(true).await;
    within(Duration::from_secs(10), "it is back", async || {
        ada.whoami().await.status == 200
    })
    .await;
    assert_eq!(ada.log_out().await.status, 204);
}
