//! A hundred thousand sessions are ended by a filter within 30 s, and meanwhile
//! session checks are as quick as ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gatelodge::domain::time::Timestamp;
use reqwest::Method;
use serde_json::json;

use crate::support::Stack::Scaled;
use crate::support::app::TestDatabase;
use crate::support::{Browser, TestApp};

/// Bulk revocation by filter (P7).
const PROMISED: Duration = Duration::from_secs(30);
/// Of checks, under whatever storm (P12); or twice what it is without one.
const QUICK: Duration = Duration::from_millis(5);

/// A page of a list.
const LISTED: Duration = Duration::from_millis(50);
const PACE: Duration = Duration::from_millis(5);

/// How long checks take while something is so, the 99th of a hundred. A browser
/// asks now and then: who asks without a pause measures their own load.
async fn checks(browser: &mut Browser, mut goes_on: impl FnMut(usize) -> bool) -> Duration {
    let (mut taken, mut pace) = (Vec::new(), tokio::time::interval(PACE));
    while goes_on(taken.len()) {
        pace.tick().await;
        let started = Instant::now();
        assert_eq!(browser.whoami().await.status, 200);
        taken.push(started.elapsed());
    }
    taken.sort();
    taken[taken.len() * 99 / 100]
}

/// On a thread of their own, as another machine would: the service's runtime is
/// not theirs.
fn elsewhere(
    mut browser: Browser,
    goes_on: impl FnMut(usize) -> bool + Send + 'static,
) -> JoinHandle<Duration> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(checks(&mut browser, goes_on))
    })
}

pub async fn a_hundred_thousand_sessions_end_in_time_and_checks_are_left_alone(
    database: &TestDatabase,
) {
    let first = TestApp::spawn_with(Scaled, &[("DATABASE_URL", &database.url)]).await;
    let now = first.clock.now();
    let then = Timestamp::from_millis(1_800_000_000_000);
    if then > now {
        first.let_pass(then.since(now));
    }
    let second = first.another_instance().await;
    let mut root = first.admin().await;
    let here = first.registered("ada@example.com").await;
    let there = here.at(second.address);

    let quiet = elsewhere(here.clone(), |done| done < 1000).join().unwrap();
    let quiet_there = elsewhere(there.clone(), |done| done < 1000).join().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let watched = [here, there].map(|browser| {
        let is_over = Arc::clone(&is_over);
        elsewhere(browser, move |_| !is_over.load(Ordering::Relaxed))
    });
    let started = Instant::now();
    let body = json!({ "filter": { "ip": "10.0.0.0/13" }, "dry_run": true });
    let counted = root.post("/api/admin/sessions/revoke", &body).await.json();
    let counted_in = started.elapsed();
    assert_eq!(counted["matched"], 40_000);
    let started = Instant::now();
    let body = json!({ "filter": { "issued_before": "2027-01-14T10:23:21Z" } });
    let request = root.request(Method::POST, "/api/admin/sessions/revoke");
    let done = root.send(request.json(&body).timeout(PROMISED)).await;
    let ended_in = started.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let [here, there] = watched;
    let (here, there) = (here.join().unwrap(), there.join().unwrap());
    println!(
        "counted {counted} in {counted_in:?}; ended {} in {ended_in:?}; \
         checks: p99 {quiet:?} and {quiet_there:?} before, {here:?} and {there:?} meanwhile",
        done.text
    );
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(done.json()["revoked"].as_u64().unwrap() >= 100_000);
    assert!(ended_in < PROMISED, "{ended_in:?}");
    assert!(here < QUICK.max(2 * quiet), "{here:?}, {quiet:?} without");
    assert!(
        there < QUICK.max(2 * quiet_there),
        "{there:?}, {quiet_there:?} without"
    );

    // Those that are dead do not make the list of the living slow.
    let body = json!({ "filter": { "everyone": true } });
    assert_eq!(
        root.post("/api/admin/sessions/revoke", &body).await.status,
        200
    );
    let mut root = first.admin().await;
    let started = Instant::now();
    let left = root.get("/api/admin/sessions").await.json();
    let listed_in = started.elapsed();
    println!("after everyone's end, listed in {listed_in:?}");
    assert_eq!(left["sessions"].as_array().unwrap().len(), 1);
    assert!(listed_in < LISTED, "{listed_in:?}");
}
