//! Waiting for what is about to be so.

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
