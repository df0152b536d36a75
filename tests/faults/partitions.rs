//! The network breaks for one instance, or between them: what one has revoked, no
//! other accepts for longer than its lease.

use std::time::Instant;

use rstest::rstest;

use crate::deployment::{A, At, B, C, EVERYWHERE, Instance, LEASE, RECOVERY};
use crate::oracle::{ANSWER, Bounds};
use crate::rounds;
use crate::scene::{PROMISED, Scene, Session};
use crate::support::proxy::Mode;
use crate::support::within;

/// The others, and the one that is cut off.
const IN_TIME: Bounds = Bounds::all(PROMISED).but(C, LEASE);

/// How it is cut off.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Told,
    Untold,
}

use Fault::{Told, Untold};

impl Fault {
    fn ledger_of(self, instance: &Instance) {
        match self {
            Told => instance.to_ledger.cut(),
            Untold => instance.to_ledger.silence(),
        }
    }

    fn redis_of(self, instance: &Instance) {
        match self {
            Told => instance.to_redis.cut(),
            Untold => instance.to_redis.silence(),
        }
    }
}

/// The scene, with a session to keep and one to end, which every instance has at hand.
async fn scene() -> (Scene, Session, Session) {
    let scene = Scene::begin(&[]).await;
    let kept = scene.log_in(A, "ada@example.com").await;
    let doomed = scene.log_in(B, "ada@example.com").await;
    are_known(&scene, &[&kept, &doomed]).await;
    (scene, kept, doomed)
}

async fn are_known(scene: &Scene, sessions: &[&Session]) {
    for session in sessions {
        for at in EVERYWHERE {
            scene.says(at, session.watch, 200).await;
        }
    }
}

/// The network is whole again, and so is everything else in time.
async fn heals(scene: &Scene, ended: &[&Session]) {
    for at in EVERYWHERE {
        scene.deployment[at].to_ledger.pass();
        scene.deployment[at].to_redis.pass();
    }
    scene.oracle.note("the network is whole");
    scene.recovers_within(RECOVERY, &EVERYWHERE).await;
    for session in ended {
        for at in EVERYWHERE {
            scene.says(at, session.watch, 401).await;
        }
    }
}

/// Asked from now on, it refuses the session: it is dead, or nobody can tell. That
/// it does so in time is the oracle's business.
async fn refuses(scene: &Scene, at: At, session: &Session) {
    let since = Instant::now();
    within(LEASE + ANSWER, "it is refused", async || {
        [401, 503]
            .iter()
            .any(|status| scene.oracle.has_said(session.watch, at, since, *status))
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn without_its_ledger_an_instance_goes_on_while_nobody_revokes(
    #[values(Told, Untold)] fault: Fault,
) {
    let (scene, kept, doomed) = scene().await;
    scene
        .oracle
        .note(format!("C is without its ledger, {fault:?}"));
    let struck_at = Instant::now();
    fault.ledger_of(&scene.deployment[C]);
    scene.refuses_changes(C, &kept).await;
    // Not even a lease later does anybody hear of it.
    tokio::time::sleep_until((struck_at + 3 * LEASE).into()).await;
    are_known(&scene, &[&kept, &doomed]).await;

    scene.may_not_tell(&[C]);
    scene.must_end_at(A, &doomed, IN_TIME).await;
    refuses(&scene, C, &doomed).await;
    heals(&scene, &[&doomed]).await;
    scene.ends().await;
}

#[rstest]
#[tokio::test]
async fn without_its_ledger_and_the_push_an_instance_refuses_after_the_lease(
    #[values(Told, Untold)] fault: Fault,
) {
    let (scene, _kept, _) = scene().await;
    for _ in 0..rounds(2) {
        let doomed = scene.log_in(B, "ada@example.com").await;
        are_known(&scene, &[&doomed]).await;
        scene
            .oracle
            .note(format!("C is without its ledger, {fault:?}, and pushes"));
        scene.may_not_tell(&[C]);
        scene.deployment[C].to_redis.set(Mode::Muted("SUBSCRIBE"));
        fault.ledger_of(&scene.deployment[C]);
        scene.must_end_at(A, &doomed, IN_TIME).await;
        refuses(&scene, C, &doomed).await;
        heals(&scene, &[&doomed]).await;
        scene.oracle.retire(doomed.watch);
    }
    scene.ends().await;
}

#[rstest]
#[tokio::test]
async fn cut_off_from_everything_an_instance_refuses_after_the_lease(
    #[values(Told, Untold)] fault: Fault,
) {
    let (scene, kept, doomed) = scene().await;
    scene.oracle.note(format!("C is cut off, {fault:?}"));
    scene.may_not_tell(&[C]);
    fault.ledger_of(&scene.deployment[C]);
    fault.redis_of(&scene.deployment[C]);
    let struck_at = Instant::now();
    scene.must_end_at(B, &doomed, IN_TIME).await;
    tokio::time::sleep_until((struck_at + LEASE).into()).await;
    scene.says(C, kept.watch, 503).await;
    let accepts = (scene.oracle).has_said(kept.watch, C, struck_at + LEASE, 200);
    assert!(!accepts, "it goes on without anybody who could tell");
    scene.refuses_changes(C, &kept).await;
    heals(&scene, &[&doomed]).await;
    scene.ends().await;
}

/// Whether there is a third who could tell.
#[derive(Clone, Copy, Debug)]
enum Bystander {
    Connected,
    /// Stopped as it should be, so that nobody waits for it.
    Stopped,
}

use Bystander::{Connected, Stopped};

/// {A, PostgreSQL} and {C, Redis}: A can revoke, and cannot say so.
#[rstest]
#[tokio::test]
async fn who_can_reach_only_redis_refuses_what_who_can_reach_only_the_ledger_has_revoked(
    #[values(Told, Untold)] fault: Fault,
    #[values(Connected, Stopped)] bystander: Bystander,
) {
    let (mut scene, kept, first) = scene().await;
    let later = scene.log_in(A, "ada@example.com").await;
    are_known(&scene, &[&later]).await;
    if matches!(bystander, Stopped) {
        scene.oracle.allow(&[B], crate::oracle::Leave::Silence);
        let stopped = scene.deployment.instance_mut(B);
        stopped.signal("INT");
        stopped.program().ends_within(RECOVERY).await;
    }
    scene.oracle.note(format!(
        "A is without Redis and C without the ledger, {fault:?}"
    ));
    scene.may_not_tell(&[C]);
    let struck_at = Instant::now();
    fault.redis_of(&scene.deployment[A]);
    fault.ledger_of(&scene.deployment[C]);
    scene.must_end_at(A, &first, IN_TIME).await;
    // Again when C has heard nothing of A for a while.
    tokio::time::sleep_until((struck_at + LEASE / 2).into()).await;
    scene.must_end_at(A, &later, IN_TIME).await;
    for session in [&first, &later] {
        refuses(&scene, C, session).await;
    }
    scene.says(A, kept.watch, 200).await;

    if matches!(bystander, Stopped) {
        scene.deployment.instance_mut(B).start_again();
        scene.deployment[B].is_ready().await;
    }
    heals(&scene, &[&first, &later]).await;
    scene.ends().await;
}

#[rstest]
#[tokio::test]
async fn what_is_not_pushed_is_polled(#[values(true, false)] pushes_alone: bool) {
    let (scene, _kept, _) = scene().await;
    let to_redis = &scene.deployment[C].to_redis;
    for _ in 0..rounds(3) {
        let doomed = scene.log_in(B, "ada@example.com").await;
        are_known(&scene, &[&doomed]).await;
        scene.oracle.note("C hears no push");
        if pushes_alone {
            to_redis.set(Mode::Muted("SUBSCRIBE"));
        } else {
            to_redis.silence();
        }
        scene.must_end_at(A, &doomed, Bounds::all(PROMISED)).await;
        scene.says(C, doomed.watch, 401).await;
        heals(&scene, &[&doomed]).await;
        scene.oracle.retire(doomed.watch);
    }
    scene.ends().await;
}
