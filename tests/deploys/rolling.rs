//! A rolling restart that nobody notices.

use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::time::sleep;

use crate::balancers::{haproxy, nginx};
use crate::fleet::Build::{self, New, Old};
use crate::fleet::{BRIEF, Fleet};
use crate::load::{Load, Visitor};
use crate::support::app::PASSWORD;
use crate::support::within;

const ROUNDS: usize = 20;

/// nginx leaves an instance that was away alone for up to two seconds, since it counts
/// whole ones. Of the three, one must be back before the last goes.
const PACE: Duration = Duration::from_millis(1150);

/// `GATELODGE_OLD_BINARY=… cargo test --test deploys rolling` has another build of the
/// program take turns with this one, so that both stand side by side most of the time;
/// `.ci/side-by-side` makes one of the last release.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request_and_loses_no_session() {
    let mut fleet = Fleet::start(Old, BRIEF).await;
    let (nginx, haproxy) = (nginx(&fleet.addresses()), haproxy(&fleet.addresses()));
    let balancers = [nginx.address, haproxy.address];

    let mut living = Vec::new();
    let strangers = Load::new(Vec::new());
    for nth in 0..12 {
        let email = format!("user{nth}@example.com");
        let registered = fleet.browser(nth % 3).register(&email, PASSWORD).await;
        assert_eq!(registered.status, 201, "{}", registered.text);
        let visitor = Visitor::new(balancers[nth % 2], &strangers);
        let cookie = visitor.log_in(&email).await.expect("a session");
        living.push((cookie, email));
    }
    let load = Load::new(living);
    let visitors = [(balancers[0], 0), (balancers[1], 6)];
    let visitors = visitors.map(|(address, first)| load.begin(address, first));
    let visitors = visitors.into_iter().flatten().collect();

    let started = Instant::now();
    for round in 0..ROUNDS {
        for at in 0..3 {
            let pace = sleep(PACE);
            fleet.stop(at).await;
            fleet.start_again(at, build_of(round)).await;
            pace.await;
        }
        let visitor = Visitor::new(balancers[round % 2], &load);
        end_one(&fleet, &visitor, &load).await;
        let failures = load.failures();
        assert!(
            failures.is_empty(),
            "in round {round}, {} of {} requests: {:#?}\n{}\n{}\n{}",
            failures.len(),
            load.asked(),
            &failures[..failures.len().min(5)],
            nginx.log(),
            haproxy.log(),
            fleet.complaints()
        );
    }
    println!(
        "{ROUNDS} rounds in {:?}, and {} requests",
        started.elapsed(),
        load.asked()
    );

    let killed_at = kill_one(&mut fleet).await;
    load.end(visitors).await;
    let failures = load.failures();
    println!("kill -9 fails {} requests", failures.len());
    for failure in &failures {
        let late = failure.began.saturating_duration_since(killed_at);
        assert!(late < IN_FLIGHT, "{late:?} after kill -9: {}", failure.what);
    }
    let visitor = Visitor::new(balancers[0], &strangers);
    for (cookie, _) in &load.living {
        assert!(
            visitor.check(200, cookie).await.is_some(),
            "a session is lost"
        );
    }
}

const fn build_of(round: usize) -> Build {
    if round.is_multiple_of(2) { New } else { Old }
}

/// Somebody logs out, and all instances have heard of it.
async fn end_one(fleet: &Fleet, visitor: &Visitor, load: &Load) {
    let (_, email) = &load.living[11];
    let Some(cookie) = visitor.log_in(email).await else {
        return;
    };
    let logout = "/api/logout";
    let ended = visitor.ask(204, Method::POST, logout, &cookie, None).await;
    if ended.is_none() {
        return;
    }
    let (_, token) = cookie.split_once('=').expect("a cookie");
    for at in 0..3 {
        let mut thief = fleet.browser(at);
        thief.token = Some(token.to_owned());
        let what = "the session has ended everywhere";
        within(IN_TIME, what, async || thief.whoami().await.status == 401).await;
    }
    load.ended.lock().unwrap().push(cookie);
}

/// How long a revocation may take to be known, whatever else is the matter (P2).
const IN_TIME: Duration = Duration::from_secs(5);

/// What is on its way to an instance when it is killed cannot be saved. It is known to
/// the system at once, and to the proxies as soon as they look, which on a busy machine
/// takes them a moment.
const IN_FLIGHT: Duration = Duration::from_secs(1);

async fn kill_one(fleet: &mut Fleet) -> Instant {
    let killed_at = Instant::now();
    fleet.instance(0).signal("KILL");
    sleep(Duration::from_secs(2)).await;
    fleet.start_again(0, New).await;
    killed_at
}
