//! The ledger breaks, for everybody: checks go on for the grace, changes are
//! refused and do not happen, and it all comes back by itself.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rstest::rstest;

use crate::deployment::{A, B, Deployment, EVERYWHERE, LEASE, RECOVERY};
use crate::oracle::{Bounds, Leave};
use crate::scene::{PROMISED, Scene};

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Killed without a checkpoint; connections are refused.
    Crashed,
    /// It takes connections and says nothing.
    Frozen,
}

use Fault::{Crashed, Frozen};

impl Fault {
    async fn strike(self, deployment: &mut Deployment) {
        match self {
            Crashed => deployment.own_postgres().crash().await,
            Frozen => deployment.own_postgres().freeze(),
        }
    }

    async fn heal(self, deployment: &mut Deployment) {
        match self {
            Crashed => deployment.own_postgres().come_back().await,
            Frozen => deployment.own_postgres().thaw(),
        }
    }
}

/// What was confirmed last may have been so long before the fault, and on a busy
/// machine the fault takes a while.
const POLL: Duration = Duration::from_secs(1);

#[rstest]
#[tokio::test]
async fn without_a_ledger_checks_go_on_for_the_grace_and_nothing_changes(
    #[values(Crashed, Frozen)] fault: Fault,
    #[values(Duration::ZERO, Duration::from_secs(5))] grace: Duration,
) {
    let setting = format!("{}s", grace.as_secs());
    let settings = [("GATELODGE_SESSION__LEDGER_GRACE", setting.as_str())];
    let mut scene = Scene::begin_with_own_postgres(&settings).await;
    let kept = scene.log_in(A, "ada@example.com").await;
    let gone = scene.log_in(A, "ada@example.com").await;
    scene.must_end_at(B, &gone, Bounds::all(PROMISED)).await;
    for at in EVERYWHERE {
        scene.says(at, gone.watch, 401).await;
        scene.says(at, kept.watch, 200).await;
    }

    scene.oracle.note(format!("PostgreSQL is {fault:?}"));
    let struck_at = Instant::now();
    scene.oracle.allow(&EVERYWHERE, Leave::CannotTellOfTheDead);
    fault.strike(&mut scene.deployment).await;
    let usual = LEASE.max(grace);
    let until = struck_at + usual;
    let refuse = EVERYWHERE.map(|at| scene.refuses_changes(at, &kept));
    let goes_on = async {
        tokio::time::sleep_until((struck_at + usual.saturating_sub(POLL)).into()).await;
        scene.may_not_tell(&EVERYWHERE);
        tokio::time::sleep_until((until + POLL).into()).await;
        let refused = EVERYWHERE.map(|at| scene.says(at, kept.watch, 503));
        join_all(refused).await;
    };
    tokio::join!(join_all(refuse), goes_on);
    for at in EVERYWHERE {
        let accepts = scene.oracle.has_said(kept.watch, at, until + POLL, 200);
        assert!(!accepts, "{at:?} goes on for too long");
    }

    fault.heal(&mut scene.deployment).await;
    scene.oracle.note("PostgreSQL is back");
    scene.recovers_within(RECOVERY, &EVERYWHERE).await;
    for at in EVERYWHERE {
        scene.says(at, gone.watch, 401).await;
        scene.says(at, kept.watch, 200).await;
    }
    scene.must_end_at(A, &kept, Bounds::all(PROMISED)).await;
    for at in EVERYWHERE {
        scene.says(at, kept.watch, 401).await;
    }
    scene.ends().await;
}
