//! Redis breaks, for everybody: nobody is logged out, nobody is brought back, and
//! everything else goes on.

use std::time::Instant;

use rstest::rstest;

use crate::deployment::{A, B, C, Deployment, EVERYWHERE, RECOVERY};
use crate::oracle::{Bounds, Leave};
use crate::rounds;
use crate::scene::{PROMISED, Scene, Session};
use crate::support::within;

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Killed, and back with nothing.
    Killed,
    /// It takes connections and says nothing.
    Frozen,
    /// Packets vanish on the way.
    Silent,
}

use Fault::{Frozen, Killed, Silent};

impl Fault {
    async fn strike(self, deployment: &Deployment) {
        match self {
            Killed => deployment.redis.kill().await,
            Frozen => deployment.redis.freeze(),
            Silent => EVERYWHERE
                .iter()
                .for_each(|&at| deployment[at].to_redis.silence()),
        }
    }

    async fn heal(self, deployment: &mut Deployment) {
        match self {
            Killed => deployment.redis.come_back().await,
            Frozen => deployment.redis.thaw(),
            Silent => EVERYWHERE
                .iter()
                .for_each(|&at| deployment[at].to_redis.pass()),
        }
    }
}

/// Each is ended on another instance, which is in time everywhere.
async fn end_each(scene: &Scene, sessions: &[Session]) {
    for (at, session) in EVERYWHERE.into_iter().cycle().zip(sessions) {
        scene.must_end_at(at, session, Bounds::all(PROMISED)).await;
    }
    are_refused(scene, sessions).await;
}

async fn are_refused(scene: &Scene, sessions: &[Session]) {
    for session in sessions {
        for at in EVERYWHERE {
            scene.says(at, session.watch, 401).await;
        }
    }
}

#[rstest]
#[tokio::test]
async fn without_redis_everything_goes_on(#[values(Killed, Frozen, Silent)] fault: Fault) {
    let mut scene = Scene::begin(&[]).await;
    let _kept = scene.log_in(A, "ada@example.com").await;
    for round in 0..rounds(1) {
        let gone = [scene.log_in(B, "ada@example.com").await];
        end_each(&scene, &gone).await;
        let doomed = scene.log_in_several(A, "ada@example.com", 3).await;

        scene.oracle.note(format!("Redis is {fault:?}"));
        fault.strike(&scene.deployment).await;
        end_each(&scene, &doomed).await;
        let newcomer = scene.log_in(B, &format!("bob{round}@example.com")).await;
        for at in EVERYWHERE {
            scene.says(at, newcomer.watch, 200).await;
        }

        scene.oracle.note("Redis is back");
        fault.heal(&mut scene.deployment).await;
        scene.recovers_within(RECOVERY, &EVERYWHERE).await;
        copies_are_kept_again(&scene).await;
        for session in doomed.iter().chain(&gone).chain([&newcomer]) {
            scene.oracle.retire(session.watch);
        }
    }
    scene.ends().await;
}

async fn copies_are_kept_again(scene: &Scene) {
    within(RECOVERY, "Redis is used again", async || {
        scene.deployment.redis.count().await > 0
    })
    .await;
}

/// The instances say through the ledger then what they have heard.
#[tokio::test]
async fn without_redis_who_waits_until_a_revocation_is_effective_sees_it_accepted_nowhere() {
    let scene = Scene::begin(&[]).await;
    let _kept = scene.log_in(A, "ada@example.com").await;
    scene.deployment.redis.kill().await;
    scene.oracle.note("Redis is killed");
    for _ in 0..rounds(10) {
        let session = scene.log_in(A, "ada@example.com").await;
        for at in EVERYWHERE {
            scene.says(at, session.watch, 200).await;
        }
        scene.ends_effectively(A, &session).await;
        for at in EVERYWHERE {
            scene.says(at, session.watch, 401).await;
        }
        scene.oracle.retire(session.watch);
    }
    scene.ends().await;
}

/// Nor by an instance that has seen nothing of it.
#[tokio::test]
async fn an_old_redis_brings_nobody_back() {
    let mut scene = Scene::begin(&[]).await;
    let _kept = scene.log_in(A, "ada@example.com").await;
    let doomed = scene.log_in_several(A, "ada@example.com", 3).await;
    for session in &doomed {
        scene.says(B, session.watch, 200).await;
    }
    scene.deployment.redis.take_snapshot().await;
    end_each(&scene, &doomed).await;

    scene.oracle.note("Redis is killed");
    scene.deployment.redis.kill().await;
    scene.deployment.redis.come_back().await;
    scene.oracle.note("Redis is back, as it was before");
    assert!(scene.deployment.redis.count().await >= doomed.len());
    are_refused(&scene, &doomed).await;
    scene.recovers_within(RECOVERY, &EVERYWHERE).await;

    scene.oracle.allow(&[C], Leave::Silence);
    let newcomer = scene.deployment.instance_mut(C);
    newcomer.signal("INT");
    newcomer.program().ends_within(RECOVERY).await;
    newcomer.start_again();
    scene.deployment[C].is_ready().await;
    scene.oracle.expect_all(&[C]);
    are_refused(&scene, &doomed).await;
    scene.ends().await;
}

#[rstest]
#[case::refuses_writes("1", "noeviction")]
#[case::forgets("4mb", "allkeys-lru")]
#[tokio::test]
async fn with_a_full_redis_everything_goes_on(#[case] memory: &str, #[case] policy: &str) {
    let scene = Scene::begin(&[]).await;
    let kept = scene.log_in(A, "ada@example.com").await;
    let doomed = scene.log_in_several(A, "ada@example.com", 3).await;
    let redis = &scene.deployment.redis;
    redis
        .command(&["CONFIG", "SET", "maxmemory-policy", policy])
        .await;
    redis.command(&["CONFIG", "SET", "maxmemory", memory]).await;
    scene.oracle.note(format!("Redis is full, {policy}"));
    if policy == "allkeys-lru" {
        crowd_out(&scene).await;
    }
    end_each(&scene, &doomed).await;
    let newcomer = scene.log_in(B, "bob@example.com").await;
    for session in [&kept, &newcomer] {
        for at in EVERYWHERE {
            scene.says(at, session.watch, 200).await;
        }
    }
    if policy == "allkeys-lru" {
        crowd_out(&scene).await;
    }
    are_refused(&scene, &doomed).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    scene.oracle.note("Redis has room again");
    scene.recovers_within(RECOVERY, &EVERYWHERE).await;
    scene.ends().await;
}

/// Writes so much else that what was there is evicted.
async fn crowd_out(scene: &Scene) {
    let started = Instant::now();
    let junk = "x".repeat(10_000);
    for batch in 0..60 {
        let names: Vec<_> = (0..10).map(|n| format!("junk:{batch}:{n}")).collect();
        let pairs = names.iter().flat_map(|name| [name.as_str(), junk.as_str()]);
        let words: Vec<_> = ["MSET"].into_iter().chain(pairs).collect();
        scene.deployment.redis.command(&words).await;
    }
    let taken = started.elapsed();
    scene
        .oracle
        .note(format!("Redis was crowded out in {taken:?}"));
}
