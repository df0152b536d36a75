//! Redis fails over by itself, to a replica that a sentinel or the rest of a cluster
//! chooses: nobody is logged out, nobody is brought back, and the successor is used.

use std::time::{Duration, Instant};

use rstest::rstest;

use crate::deployment::{A, B, EVERYWHERE, RECOVERY};
use crate::oracle::Bounds;
use crate::scene::{PROMISED, Scene, Session};
use crate::support::app::PASSWORD;
use crate::support::redis_servers::{Cluster, Node, Sentinel};
use crate::support::within;

enum Redis {
    Watched(Sentinel),
    Clustered(Cluster),
}

impl Redis {
    fn sentinel() -> Self {
        Self::Watched(Sentinel::start())
    }

    /// The first of whose nodes has a replica.
    fn cluster() -> Self {
        Self::Clustered(Cluster::start(1))
    }

    fn url(&self) -> String {
        match self {
            Self::Watched(sentinel) => sentinel.url(),
            Self::Clustered(cluster) => cluster.url(),
        }
    }

    fn lost(&self) -> &Node {
        match self {
            Self::Watched(sentinel) => &sentinel.master,
            Self::Clustered(cluster) => &cluster.nodes[0],
        }
    }

    fn successor(&self) -> &Node {
        match self {
            Self::Watched(sentinel) => &sentinel.replica,
            Self::Clustered(cluster) => &cluster.replicas[0],
        }
    }
}

/// Between two revocations.
const PAUSE: Duration = Duration::from_millis(100);

#[rstest]
#[case::sentinel(Redis::sentinel())]
#[case::cluster(Redis::cluster())]
#[tokio::test]
async fn a_failover_of_redis_under_load_is_noticed_by_nobody(#[case] redis: Redis) {
    let scene = Scene::begin(&[("REDIS_URL", &redis.url())]).await;
    let mut kept = Vec::new();
    for at in EVERYWHERE {
        kept.push(scene.log_in(at, "ada@example.com").await);
    }
    let doomed = scene.log_in_several(A, "ada@example.com", 12).await;
    for session in kept.iter().chain(&doomed) {
        for at in EVERYWHERE {
            scene.says(at, session.watch, 200).await;
        }
    }

    let fails_over = async {
        tokio::time::sleep(4 * PAUSE).await;
        redis.lost().kill();
        scene.oracle.note("the master is killed");
        let killed_at = Instant::now();
        within(2 * RECOVERY, "it has a successor", async || {
            redis.successor().role() == "master"
        })
        .await;
        scene.oracle.note("it has a successor");
        let (chosen_at, took) = (Instant::now(), killed_at.elapsed());
        within(RECOVERY, "the successor is used", async || {
            is_used(&scene, redis.successor()).await
        })
        .await;
        (took, chosen_at.elapsed())
    };
    let ((chosen, used), ()) = tokio::join!(fails_over, end_each(&scene, &doomed));
    println!("a successor after {chosen:?}, used {used:?} later");
    scene.recovers_within(RECOVERY, &EVERYWHERE).await;
    for session in &doomed {
        for at in EVERYWHERE {
            scene.says(at, session.watch, 401).await;
        }
    }
    for session in &kept {
        for at in EVERYWHERE {
            scene.says(at, session.watch, 200).await;
        }
    }
    let last = scene.log_in(B, "ada@example.com").await;
    scene.ends_effectively(A, &last).await;
    for at in EVERYWHERE {
        scene.says(at, last.watch, 401).await;
    }
    scene.ends().await;
}

/// Each on another instance, which is in time everywhere, whatever Redis does.
async fn end_each(scene: &Scene, sessions: &[Session]) {
    for (at, session) in EVERYWHERE.into_iter().cycle().zip(sessions) {
        scene.must_end_at(at, session, Bounds::all(PROMISED)).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the copies of some who log in go there.
async fn is_used(scene: &Scene, node: &Node) -> bool {
    let copies = || node.ask::<usize>("DBSIZE").unwrap_or_default();
    let before = copies();
    for _ in 0..6 {
        let mut browser = scene.deployment[B].browser();
        let answer = browser.log_in("ada@example.com", PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    copies() > before
}
