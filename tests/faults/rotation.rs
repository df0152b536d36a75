//! Nothing is broken: the keys are rotated, one instance after the other, while all of
//! them work.

use std::time::{Duration, Instant};

use gatelodge::config::secret_key;
use gatelodge::startup::generate_key;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::deployment::{A, At, B, C, EVERYWHERE};
use crate::oracle::Bounds;
use crate::scene::{PROMISED, Scene, Session};
use crate::support::app::PASSWORD;
use crate::support::{Browser, within};

/// So many sessions are asked about that often.
const PACE: Duration = Duration::from_millis(100);

/// An instance looks at its file every second, and believes what it finds twice.
const NOTICED: Duration = Duration::from_secs(10);

/// So that instances tell which keys they have.
const SETTINGS: [(&str, &str); 1] = [("GATELODGE_LOG__LEVEL", "info")];

/// Gives an instance other keys, and waits until it has them: B is told to look, the
/// others find out.
async fn roll(scene: &Scene, at: At, keys: &[&str]) {
    let fingerprints = keys
        .iter()
        .map(|key| secret_key(key).unwrap().fingerprint());
    let fingerprints: Vec<_> = fingerprints.map(|one| one.to_string()).collect();
    let expected = format!("\"fingerprints\":\"{}\"", fingerprints.join(", "));
    scene.deployment[at].set_keys(keys);
    if at == B {
        scene.deployment[at].signal("HUP");
    }
    within(NOTICED, "the keys are read again", async || {
        let log = scene.deployment[at].log();
        let last = log.lines().rfind(|line| line.contains("fingerprints"));
        last.is_some_and(|last| last.contains(&expected))
    })
    .await;
    scene.oracle.note(format!("{at:?} has {} keys", keys.len()));
}

/// The version and the id of the key that has made a session's token.
fn made_by(session: &Session) -> String {
    session.browser.token.as_deref().unwrap()[..4].to_owned()
}

/// People who come and go until they are told to stop: logged in here, known there,
/// logged out elsewhere. How many have.
fn crowd(scene: &Scene, over: watch::Receiver<bool>) -> JoinHandle<usize> {
    let addresses = EVERYWHERE.map(|at| scene.deployment[at].address());
    tokio::spawn(async move {
        let mut visits = 0;
        while !*over.borrow() {
            let [here, there, elsewhere] = [0, 1, 2].map(|n| addresses[(visits + n) % 3]);
            let mut browser = Browser::new(here);
            let answer = browser.log_in("ada@example.com", PASSWORD).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            for address in [here, there, elsewhere] {
                let answer = browser.at(address).whoami().await;
                assert_eq!(answer.status, 200, "{}", answer.text);
            }
            let mut leaving = browser.at(elsewhere);
            let answer = leaving.log_out().await;
            assert_eq!(answer.status, 204, "{}", answer.text);
            visits += 1;
        }
        visits
    })
}

#[tokio::test]
async fn keys_are_rotated_under_load_and_nobody_is_logged_out() {
    let scene = Scene::begin_alone(&SETTINGS, PACE).await;
    let (old, new) = (scene.deployment.key.clone(), generate_key());
    let mut kept = scene.log_in_several(A, "ada@example.com", 3).await;
    let old_id = made_by(&kept[0]);
    let (is_over, over) = watch::channel(false);
    let crowd = crowd(&scene, over);

    for keys in [[&*old, &*new], [&*new, &*old]] {
        for at in EVERYWHERE {
            roll(&scene, at, &keys).await;
            let (next, other) = (
                EVERYWHERE[(at as usize + 1) % 3],
                EVERYWHERE[(at as usize + 2) % 3],
            );
            let made = scene.log_in_several(at, "ada@example.com", 3).await;
            let [stays, ended, ended_effectively] = <[_; 3]>::try_from(made).ok().unwrap();
            for session in [&stays, &ended, &ended_effectively] {
                for everywhere in EVERYWHERE {
                    scene.says(everywhere, session.watch, 200).await;
                }
            }
            scene.must_end_at(next, &ended, Bounds::all(PROMISED)).await;
            scene.ends_effectively(other, &ended_effectively).await;
            for everywhere in EVERYWHERE {
                scene.says(everywhere, ended.watch, 401).await;
            }
            let is_old = made_by(&stays) == old_id;
            assert_eq!(is_old, keys[0] == old, "{at:?} signs with its first key");
            for session in [ended, ended_effectively] {
                scene.oracle.retire(session.watch);
            }
            kept.push(stays);
        }
    }

    // In the field, they have ended by then.
    let (outdated, current): (Vec<_>, Vec<_>) = kept
        .into_iter()
        .partition(|session| made_by(session) == old_id);
    for session in &outdated {
        scene.oracle.end_is_asked(session.watch);
    }
    for at in EVERYWHERE {
        roll(&scene, at, &[&new]).await;
        let made = scene.log_in(at, "ada@example.com").await;
        for everywhere in EVERYWHERE {
            scene.says(everywhere, made.watch, 200).await;
        }
        for session in &outdated {
            let browser = session.browser.at(scene.deployment[at].address());
            browser.clone().whoami().await.assert_refused();
            browser.clone().list_sessions().await.assert_refused();
        }
    }
    for session in &outdated {
        let never = Bounds::all(Duration::ZERO);
        scene.oracle.end_is_answered(session.watch, never);
    }
    assert!(current.len() >= 3 && outdated.len() >= 6);
    let since = Instant::now();
    for at in EVERYWHERE {
        for (sessions, status) in [(&current, 200), (&outdated, 401)] {
            for session in sessions {
                within(NOTICED, "it is asked again", async || {
                    scene.oracle.has_said(session.watch, at, since, status)
                })
                .await;
            }
        }
    }
    is_over.send_replace(true);
    let visits = crowd.await.unwrap();
    println!("{visits} visits meanwhile");
    scene.ends().await;
}

/// The steps in a wrong order: C has the new key alone, while the others have never
/// heard of it. Then it believes nobody and nobody believes it, but what is ended is
/// ended everywhere, by the ledger.
#[tokio::test]
async fn instances_without_a_common_key_refuse_each_others_sessions_and_nothing_else() {
    let scene = Scene::begin(&SETTINGS).await;
    let (old, new) = (scene.deployment.key.clone(), generate_key());
    let theirs = scene.log_in(A, "ada@example.com").await;
    let doomed = scene.log_in(A, "ada@example.com").await;
    for at in EVERYWHERE {
        scene.says(at, theirs.watch, 200).await;
        scene.says(at, doomed.watch, 200).await;
    }
    for session in [&theirs, &doomed] {
        scene.oracle.end_is_asked(session.watch);
    }
    roll(&scene, C, &[&new]).await;
    let mut own = scene.deployment[C].browser();
    assert_eq!(own.log_in("ada@example.com", PASSWORD).await.status, 200);
    let id = own.session_id().await;
    for at in [A, B] {
        scene.says(at, theirs.watch, 200).await;
        let mut there = own.at(scene.deployment[at].address());
        there.whoami().await.assert_refused();
    }
    let mut here = theirs.browser.at(scene.deployment[C].address());
    here.whoami().await.assert_refused();

    let mut ending = theirs.browser.clone();
    assert_eq!(ending.revoke_session(&id).await.status, 204);
    within(PROMISED, "C hears of it from the ledger", async || {
        own.whoami().await.status == 401
    })
    .await;
    assert_eq!(ending.revoke_session(&doomed.id).await.status, 204);
    within(NOTICED, "C says that it is missed", async || {
        scene.deployment[C]
            .log()
            .contains("this instance was missed")
    })
    .await;

    roll(&scene, C, &[&old, &new]).await;
    for at in EVERYWHERE {
        let mut there = theirs.browser.at(scene.deployment[at].address());
        assert_eq!(there.whoami().await.status, 200);
        let mut there = doomed.browser.at(scene.deployment[at].address());
        there.whoami().await.assert_refused();
    }
    scene.recovers_within(NOTICED, &EVERYWHERE).await;
    scene.ends().await;
}
