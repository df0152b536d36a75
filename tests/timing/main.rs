//! Whether an account exists, is locked, or has an old hash: nobody learns it from an
//! answer, nor from the time it takes (ASVS 6.3.8). In a binary of its own, so that
//! nothing else runs meanwhile. At the full cost it takes most of an hour:
//! `GATELODGE_TIMING_COST=12 cargo test --test timing -- --nocapture`.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and one that measures says what"
)]

#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the other tests stand on the rest of it"
)]
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gatelodge::entropy;
use sqlx::{Connection as _, SqliteConnection};

use support::app::PASSWORD;
use support::{Answer, Stack, TestApp};

const SAMPLES: usize = 2000;
/// What else it takes for so many log-ins to be refused for their password alone.
const SETTINGS: [(&str, &str); 2] = [
    ("GATELODGE_THROTTLE__MAX_ATTEMPTS_PER_IP", "1000000"),
    ("GATELODGE_THROTTLE__WINDOW", "1ms"),
];
/// How far the medians may be apart.
const APART: f64 = 0.05;
/// How much oftener than every other time the longer of two answers may tell which is which.
const TELLING: f64 = 0.04;
/// Three standard errors of what that is measured as, from so many samples: a doubt that is
/// no reason to fail.
const DOUBT: f64 = 0.027;

const WRONG: &str = "not the password at all!!!!!";

/// Who tries to log in: as whom, with what, and what the ledger has of them, if it is not
/// what registering has left there. All hashes are of the right password.
struct Class {
    name: &'static str,
    email: &'static str,
    password: &'static str,
    stored: Option<&'static str>,
}

const CLASSES: [Class; 5] = [
    Class {
        name: "unknown",
        email: "unknown@example.com",
        password: WRONG,
        stored: None,
    },
    Class {
        name: "wrong",
        email: "present@example.com",
        password: WRONG,
        stored: None,
    },
    Class {
        name: "locked",
        email: "blocked@example.com",
        password: PASSWORD,
        stored: None,
    },
    Class {
        name: "old cost",
        email: "ancient@example.com",
        password: WRONG,
        stored: Some(
            "$bcrypt-sha256$v=2,t=2b,r=6$kHIoZ9DAnor2Zr5ux0BL1.$tCWCnNAbPaPZjLbLfXNbYgh9vtt0sU2",
        ),
    },
    Class {
        name: "imported",
        email: "foreign@example.com",
        password: WRONG,
        stored: Some(
            "$argon2id$v=19$m=1024,t=2,p=1$ZRZjNNELqXJTdINmgzuL1A$knTBRhPWSWRFhh1H1E51nRgLWjgg2GwrxHYotYT2bY4",
        ),
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_log_in_does_not_tell_why() {
    let cost = std::env::var("GATELODGE_TIMING_COST").unwrap_or_else(|_| "7".to_owned());
    let cost = [("GATELODGE_PASSWORD__BCRYPT_COST", cost.as_str())];
    let settings = [&cost[..], &SETTINGS].concat();
    let app = TestApp::spawn_with(Stack::Embedded, &settings).await;
    populate(&app).await;

    let mut browser = app.browser();
    let mut times: [Vec<Duration>; CLASSES.len()] = Default::default();
    let mut first = None;
    for _ in 0..SAMPLES {
        for class in shuffled() {
            let Class {
                email, password, ..
            } = CLASSES[class];
            let started = Instant::now();
            let answer = browser.log_in(email, password).await;
            times[class].push(started.elapsed());
            let seen = all_but_the_moment(&answer);
            assert_eq!(*first.get_or_insert_with(|| seen.clone()), seen, "{email}");
            assert_eq!(answer.status, 401);
        }
    }

    let mut telling = Vec::new();
    for (class, times) in CLASSES.iter().zip(&mut times) {
        times.sort();
        println!("{:>9}: median {:?}", class.name, median(times));
    }
    for (n, (class, times_of)) in CLASSES.iter().zip(&times).enumerate() {
        for (other, times_of_other) in CLASSES.iter().zip(&times).skip(n + 1) {
            let apart = median(times_of).as_secs_f64() / median(times_of_other).as_secs_f64() - 1.0;
            let curve = area_under_curve(times_of, times_of_other);
            let found = format!(
                "{} and {}: {:+.2} % apart, AUC {curve:.3}",
                class.name,
                other.name,
                100.0 * apart
            );
            println!("{found}");
            if apart.abs() > APART || (curve - 0.5).abs() > TELLING + DOUBT {
                telling.push(found);
            }
        }
    }
    assert!(telling.is_empty(), "{telling:#?}");
}

async fn populate(app: &TestApp) {
    for class in CLASSES.iter().filter(|class| class.name != "unknown") {
        app.registered(class.email).await;
    }
    let mut ledger = SqliteConnection::connect(app.database_url()).await.unwrap();
    for class in &CLASSES {
        if let Some(stored) = class.stored {
            let stored = sqlx::query("update users set password_hash = $1 where email = $2")
                .bind(stored)
                .bind(class.email)
                .execute(&mut ledger)
                .await;
            assert_eq!(stored.unwrap().rows_affected(), 1);
        }
    }
    let locked = sqlx::query("update users set status = 'locked' where email = $1")
        .bind("blocked@example.com")
        .execute(&mut ledger)
        .await;
    assert_eq!(locked.unwrap().rows_affected(), 1);
}

fn shuffled() -> [usize; CLASSES.len()] {
    let mut order = std::array::from_fn(|n| n);
    order.sort_by_cached_key(|_| u64::from_ne_bytes(entropy::random()));
    order
}

/// An answer, but for what no two have in common.
fn all_but_the_moment(answer: &Answer) -> (u16, BTreeMap<String, Vec<u8>>, String) {
    let headers = answer.headers.iter();
    let headers = headers
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    (answer.status, headers.collect(), answer.text.clone())
}

fn median(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() / 2]
}

/// How often one of the first takes longer than one of the second (Mann and Whitney).
fn area_under_curve(sorted: &[Duration], others: &[Duration]) -> f64 {
    let mut wins = 0.0;
    for time in sorted {
        let below = others.partition_point(|other| other < time);
        let equal = others.partition_point(|other| other <= time) - below;
        wins += count(below) + count(equal) / 2.0;
    }
    wins / (count(sorted.len()) * count(others.len()))
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap())
}
