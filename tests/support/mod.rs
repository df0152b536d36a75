//! What the tests stand on: servers of their own, instances, and browsers.

pub mod app;
pub mod browser;
pub mod certificates;
pub mod postgres_proxy;
pub mod program;
pub mod proxy;
pub mod redis_servers;
pub mod servers;

pub use app::{Stack, TestApp};
pub use browser::{Answer, Browser};

use std::time::{Duration, Instant};

/// Waits until something is so, for five seconds at most.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    within(Duration::from_secs(5), what, &mut is_so).await;
}

/// Waits until something is so, for that long at most; says how long it took.
pub async fn within(limit: Duration, what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    started.elapsed()
}
