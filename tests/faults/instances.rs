//! An instance breaks: the others carry on, and what was answered holds.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::RequestBuilder;
use sqlx::{Connection as _, PgConnection};

use crate::deployment::{A, At, B, C, EVERYWHERE, LEASE, RECOVERY};
use crate::oracle::{ANSWER, Bounds, Leave};
use crate::rounds;
use crate::scene::{PROMISED, Scene, Session};
use crate::support::proxy::Mode;
use crate::support::within;

const IN_TIME: Bounds = Bounds::all(PROMISED);

/// Slow enough that an instance can be stopped in the middle of a change.
const SLOW: Mode = Mode::Delay(Duration::from_millis(20));

/// The longest that a transaction of somebody else may hold a lock, and then an
/// answer.
const HELD_UP: Duration = Duration::from_secs(3);

/// Waits until a change is under way in the ledger.
async fn is_in_the_middle(scene: &Scene) {
    let mut ledger = PgConnection::connect(&scene.deployment.ledger.url())
        .await
        .unwrap();
    within(ANSWER, "a change is under way", async || {
        let (count,): (i64,) = sqlx::query_as(
            "select count(*) from pg_stat_activity \
             where datname = current_database() and state = 'idle in transaction'",
        )
        .fetch_one(&mut ledger)
        .await
        .unwrap();
        count > 0
    })
    .await;
}

/// Asks an instance to end these, all at once; it may not live to answer in time.
fn ending_all(
    scene: &Scene,
    at: At,
    sessions: &[Session],
) -> tokio::task::JoinHandle<Vec<Option<u16>>> {
    let requests: Vec<RequestBuilder> = sessions
        .iter()
        .map(|session| {
            scene.oracle.end_is_asked(session.watch);
            scene.ending_at(at, session, "")
        })
        .collect();
    let answers = requests.into_iter().map(async |request| {
        let answer = request.send().await.ok()?;
        Some(answer.status().as_u16())
    });
    tokio::spawn(join_all(answers))
}

/// Whatever became of it, the instances agree.
async fn agree(scene: &Scene, session: &Session, instances: &[At]) {
    let mut said = Vec::new();
    for &at in instances {
        let mut there = session.browser.at(scene.deployment[at].address());
        said.push(there.whoami().await.status);
    }
    assert!(matches!(said[0], 200 | 401), "{said:?}");
    assert!(said.iter().all(|status| *status == said[0]), "{said:?}");
}

#[tokio::test]
async fn a_frozen_instance_holds_nobody_up_and_wakes_without_its_lease() {
    let scene = Scene::begin(&[]).await;
    let kept = scene.log_in(A, "ada@example.com").await;
    for _ in 0..rounds(1) {
        let interrupted = scene.log_in_several(B, "ada@example.com", 1).await;
        let doomed = [
            scene.log_in(B, "ada@example.com").await,
            scene.log_in(C, "bob@example.com").await,
        ];
        for session in &doomed {
            scene.says(A, session.watch, 200).await;
        }
        scene.deployment[A].to_ledger.set(SLOW);
        let ending = ending_all(&scene, A, &interrupted);
        is_in_the_middle(&scene).await;
        scene.oracle.note("A is frozen");
        scene.oracle.allow(&[A], Leave::Silence);
        scene.deployment[A].signal("STOP");
        let frozen_at = Instant::now();
        scene.deployment[A].to_ledger.pass();

        // Of the same user, whose lock A may hold, and of another.
        for (at, session) in [B, C].into_iter().zip(&doomed) {
            within(HELD_UP, "others can revoke", async || {
                let status = scene.end_at(at, session, IN_TIME).await;
                assert!(matches!(status, Some(204 | 503)), "{status:?}");
                status == Some(204)
            })
            .await;
        }
        tokio::time::sleep_until((frozen_at + LEASE + PROMISED).into()).await;
        tokio::time::sleep(PROMISED).await;
        for session in &doomed {
            let token = session.browser.token.as_deref().unwrap();
            for _ in 0..3 {
                scene.oracle.ask_now(session.watch, A, token);
            }
        }
        scene.may_not_tell(&[A]);
        scene.deployment[A].signal("CONT");
        scene.oracle.note("A goes on");
        scene.says_within(RECOVERY, A, kept.watch, 200).await;
        let answers = tokio::time::timeout(RECOVERY, ending).await;
        println!("the interrupted revocation: {answers:?}");
        scene.recovers_within(RECOVERY, &EVERYWHERE).await;
        for session in &interrupted {
            agree(&scene, session, &EVERYWHERE).await;
            scene.oracle.retire(session.watch);
        }
        for session in &doomed {
            scene.says(A, session.watch, 401).await;
            scene.oracle.retire(session.watch);
        }
    }
    scene.ends().await;
}

#[tokio::test]
async fn a_killed_instance_takes_nothing_with_it() {
    let mut scene = Scene::begin(&[("GATELODGE_SESSION__LEASE", "5s")]).await;
    let _kept = scene.log_in(A, "ada@example.com").await;
    let answered = scene.log_in(B, "ada@example.com").await;
    let interrupted = scene.log_in_several(B, "ada@example.com", 3).await;
    scene.must_end_at(A, &answered, IN_TIME).await;
    scene.deployment[A].to_ledger.set(SLOW);
    let ending = ending_all(&scene, A, &interrupted);
    is_in_the_middle(&scene).await;
    scene.oracle.note("A is killed");
    scene.oracle.allow(&[A], Leave::Silence);
    scene.deployment[A].signal("KILL");
    let answers = ending.await.unwrap();
    for (session, answer) in interrupted.iter().zip(answers) {
        if answer == Some(204) {
            scene.oracle.end_is_answered(session.watch, IN_TIME);
        }
    }
    let doomed = scene.log_in(B, "ada@example.com").await;
    scene.says(C, doomed.watch, 200).await;
    scene.must_end_at(B, &doomed, IN_TIME).await;
    within(HELD_UP, "nothing is left undecided", async || {
        let mut ledger = PgConnection::connect(&scene.deployment.ledger.url())
            .await
            .unwrap();
        let (count,): (i64,) = sqlx::query_as(
            "select count(*) from pg_stat_activity \
             where datname = current_database() and state like '%in transaction%'",
        )
        .fetch_one(&mut ledger)
        .await
        .unwrap();
        count == 0
    })
    .await;
    for session in &interrupted {
        let watch = session.watch;
        let since = Instant::now();
        within(PROMISED, "B has an opinion", async || {
            [200, 401]
                .iter()
                .any(|status| scene.oracle.has_said(watch, B, since, *status))
        })
        .await;
        agree(&scene, session, &[B, C]).await;
    }

    scene.deployment[A].to_ledger.pass();
    scene.deployment.instance_mut(A).start_again();
    scene.deployment[A].is_ready().await;
    scene.recovers_within(RECOVERY, &EVERYWHERE).await;
    for session in &interrupted {
        agree(&scene, session, &EVERYWHERE).await;
    }
    for at in EVERYWHERE {
        scene.says(at, answered.watch, 401).await;
        scene.says(at, doomed.watch, 401).await;
    }
    scene.ends().await;
}

/// It could still accept what it has not heard of; after its lease it cannot.
#[tokio::test]
async fn a_killed_instance_is_waited_for_until_its_lease_is_over() {
    const LONG_LEASE: Duration = Duration::from_secs(5);
    let scene = Scene::begin(&[("GATELODGE_SESSION__LEASE", "5s")]).await;
    let kept = scene.log_in(B, "ada@example.com").await;
    let sessions = scene.log_in_several(B, "ada@example.com", 2).await;
    for at in EVERYWHERE {
        scene.says(at, kept.watch, 200).await;
    }
    scene.oracle.note("A is killed");
    scene.oracle.allow(&[A], Leave::Silence);
    scene.deployment[A].signal("KILL");
    let killed_at = Instant::now();
    let [pending, effective] = &sessions[..] else {
        panic!("two sessions")
    };

    scene.oracle.end_is_asked(pending.watch);
    let request = scene.ending_at(B, pending, "?wait=effective");
    let asked_at = Instant::now();
    let answer = request.send().await.unwrap();
    assert!(asked_at.elapsed() < ANSWER + PROMISED / 2);
    scene.oracle.end_is_answered(pending.watch, IN_TIME);
    assert_eq!(answer.status(), 202);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["pending"], 1);

    tokio::time::sleep_until((killed_at + LONG_LEASE + PROMISED).into()).await;
    scene.ends_effectively(B, effective).await;
    scene.says(C, effective.watch, 401).await;
    scene.ends().await;
}

#[tokio::test]
async fn a_stopped_instance_finishes_what_it_has_begun() {
    let mut scene = Scene::begin(&[]).await;
    let _kept = scene.log_in(B, "ada@example.com").await;
    for _ in 0..rounds(1) {
        let answered = scene.log_in_several(B, "ada@example.com", 1).await;
        scene.must_end_at(A, &answered[0], IN_TIME).await;
        // Of one user, they would wait for each other.
        let mut begun = Vec::new();
        for email in ["ada@example.com", "bob@example.com", "eve@example.com"] {
            begun.push(scene.log_in(C, email).await);
        }
        scene.deployment[A].to_ledger.set(SLOW);
        let ending = ending_all(&scene, A, &begun);
        is_in_the_middle(&scene).await;
        scene.oracle.note("A is told to stop");
        scene.oracle.allow(&[A], Leave::Silence);
        scene.deployment[A].signal("TERM");
        let answers = ending.await.unwrap();
        for session in &begun {
            scene.oracle.end_is_answered(session.watch, IN_TIME);
        }
        assert_eq!(answers, [Some(204); 3]);
        let program = scene.deployment.instance_mut(A).program();
        assert!(program.ends_within(RECOVERY).await.success());
        for session in answered.iter().chain(&begun) {
            for at in [B, C] {
                scene.says(at, session.watch, 401).await;
            }
            scene.oracle.retire(session.watch);
        }
        scene.deployment[A].to_ledger.pass();
        scene.deployment.instance_mut(A).start_again();
        scene.deployment[A].is_ready().await;
        scene.oracle.expect_all(&[A]);
    }
    scene.ends().await;
}
