//! The whole service on stores as they are deployed where they must not be away for
//! long.

use std::time::Duration;

use reqwest::Method;
use rstest::rstest;

use crate::support::Stack::Scaled;
use crate::support::app::PASSWORD;
use crate::support::proxy::FaultProxy;
use crate::support::redis_servers::{CLUSTER, SENTINEL, Sentinel};
use crate::support::servers::OwnPostgres;
use crate::support::{Browser, TestApp, within};

const RECOVERY: Duration = Duration::from_secs(10);

async fn on(url: &str) -> (TestApp, TestApp) {
    // Without the poll's help, push or nothing.
    let settings = [
        ("REDIS_URL", url),
        ("GATELODGE_SESSION__POLL_INTERVAL", "2s"),
        ("GATELODGE_SESSION__LEASE", "5s"),
    ];
    let first = TestApp::spawn_with(Scaled, &settings).await;
    let second = first.another_instance().await;
    (first, second)
}

/// Ends the session, and waits until that is effective; whether it was in time.
async fn log_out_everywhere(browser: &Browser) -> bool {
    let request = browser.request(Method::POST, "/api/logout?wait=effective");
    browser.clone().send(request).await.status == 204
}

#[rstest]
#[case::sentinel(&SENTINEL.url())]
#[case::cluster(&CLUSTER.url())]
#[tokio::test]
async fn sessions_and_their_ends_reach_the_other_instance(#[case] url: &str) {
    let (first, second) = on(url).await;
    let ada = first.registered("ada@example.com").await;
    let mut there = ada.at(second.address);
    assert_eq!(there.whoami().await.status, 200);
    within(RECOVERY, "they hear each other", async || {
        log_out_everywhere(&first.logged_in("ada@example.com").await).await
    })
    .await;
    for _ in 0..20 {
        let browser = first.logged_in("ada@example.com").await;
        let mut there = browser.at(second.address);
        assert_eq!(there.whoami().await.status, 200);
        assert!(log_out_everywhere(&browser).await, "at once, by push");
        there.whoami().await.assert_refused();
    }
    assert_eq!(there.whoami().await.status, 200);
}

#[tokio::test]
async fn a_sentinel_failover_logs_nobody_out_and_brings_nobody_back() {
    let redis = Sentinel::start();
    let (first, second) = on(&redis.url()).await;
    let mut ada = first.registered("ada@example.com").await;
    let gone = first.logged_in("ada@example.com").await;
    assert_eq!(gone.at(second.address).whoami().await.status, 200);
    redis.master.kill();
    assert_eq!(ada.whoami().await.status, 200);
    assert_eq!(gone.clone().log_out().await.status, 204);
    within(RECOVERY, "it is ended elsewhere", async || {
        gone.at(second.address).whoami().await.status == 401
    })
    .await;
    within(RECOVERY, "push works again", async || {
        let browser = first.logged_in("ada@example.com").await;
        browser.at(second.address).whoami().await.status == 200
            && log_out_everywhere(&browser).await
    })
    .await;
    assert_eq!(redis.replica.role(), "master");
    for instance in [&first, &second] {
        gone.at(instance.address).whoami().await.assert_refused();
        assert_eq!(ada.at(instance.address).whoami().await.status, 200);
    }
}

#[tokio::test]
async fn a_postgres_failover_loses_no_revocation_and_needs_no_restart() {
    let primary = OwnPostgres::start();
    let standby = primary.with_synchronous_standby().await;
    let (address, url) = FaultProxy::before_url(&primary.url());
    let first = TestApp::spawn_with(Scaled, &[("DATABASE_URL", &url)]).await;
    let second = first.another_instance().await;
    let mut ada = first.registered("ada@example.com").await;
    let mut gone = first.logged_in("ada@example.com").await;
    assert_eq!(gone.at(second.address).whoami().await.status, 200);
    let id = gone.session_id().await;
    assert_eq!(ada.revoke_session(&id).await.status, 204);
    primary.crash().await;
    assert_eq!(ada.whoami().await.status, 200, "the grace");
    assert!(matches!(gone.whoami().await.status, 401 | 503));
    standby.promote().await;
    address.lead_to(standby.address());

    within(RECOVERY, "the ledger answers", async || {
        let mut again = first.browser();
        again.log_in("ada@example.com", PASSWORD).await.status == 200
    })
    .await;
    within(RECOVERY, "so it does elsewhere", async || {
        log_out_everywhere(&first.logged_in("ada@example.com").await).await
    })
    .await;
    for instance in [&first, &second, &first.another_instance().await] {
        gone.at(instance.address).whoami().await.assert_refused();
        assert_eq!(ada.at(instance.address).whoami().await.status, 200);
    }
}
