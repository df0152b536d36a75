//! What an instance says of itself while its stores hang.

use std::time::{Duration, Instant};

use gatelodge::startup::generate_key;
use reqwest::Method;

use crate::support::program::{Program, command};
use crate::support::servers::{OwnPostgres, OwnRedis};
use crate::support::within;

#[tokio::test]
async fn an_instance_is_ready_while_its_view_is_believed_and_asks_no_store_for_that() {
    let (postgres, redis) = (OwnPostgres::start(), OwnRedis::start());
    let folder = tempfile::tempdir().unwrap();
    let configured = || {
        let mut command = command(folder.path());
        command
            .env("DATABASE_URL", postgres.url())
            .env("REDIS_URL", redis.url())
            .env("GATELODGE_SESSION__LEASE", "2s")
            .env("GATELODGE_SESSION__LEDGER_GRACE", "0s");
        command
    };
    let mut serving = configured();
    serving.env("GATELODGE_SECRETS__KEYS", generate_key());
    let program = Program::run(serving);
    let asks = async |path| program.browser().get(path).await;

    redis.freeze();
    let frozen = Instant::now();
    while frozen.elapsed() < Duration::from_secs(3) {
        assert_eq!(asks("/health/ready").await.status, 200, "Redis alone");
    }
    redis.thaw();

    postgres.freeze();
    within(Duration::from_secs(5), "the lease is over", async || {
        asks("/health/ready").await.status == 503
    })
    .await;
    let asked = Instant::now();
    for _ in 0..50 {
        let not_ready = asks("/health/ready").await;
        not_ready.assert_problem(503, "stale_view");
    }
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "a store was asked"
    );
    let mut browser = program.browser();
    let head = browser.request(Method::HEAD, "/health/ready");
    assert_eq!(browser.send(head).await.status, 503);
    assert_eq!(asks("/health/alive").await.status, 200);
    let mut healthcheck = configured();
    healthcheck
        .env("GATELODGE_SERVER__BIND", program.address.to_string())
        .env("GATELODGE_SECRETS__KEYS", generate_key())
        .arg("healthcheck");
    let checked = healthcheck.output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    let error = String::from_utf8(checked.stderr).unwrap();
    assert!(error.contains("not ready: stale_view"), "{error}");

    postgres.thaw();
    within(Duration::from_secs(10), "it is ready again", async || {
        asks("/health/ready").await.status == 200
    })
    .await;
    assert!(healthcheck.output().unwrap().status.success());
}
