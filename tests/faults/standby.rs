//! PostgreSQL fails over to a standby, and the address that the instances know follows
//! it. What was answered holds, as far as the standby has it or an instance remembers.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::deployment::{A, At, C, Deployment, EVERYWHERE, LEASE, RECOVERY};
use crate::oracle::{Bounds, Leave};
use crate::scene::{PROMISED, Scene, Session, answer_to};
use crate::support::app::PASSWORD;
use crate::support::proxy::FaultProxy;
use crate::support::servers::{OwnPostgres, Process, debian, started};
use crate::support::{Browser, within};

/// What becomes of the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Killed,
    /// It takes connections and says nothing; and once it has a successor, it wakes up.
    Frozen,
    /// It goes on, and takes no writes: what is connected to it stays so.
    Retired,
}

use Fate::{Frozen, Killed, Retired};

impl Fate {
    async fn strike(self, deployment: &Deployment) {
        let primary = deployment.primary();
        match self {
            Killed => primary.kill().await,
            Frozen => primary.freeze(),
            Retired => primary.retire().await,
        }
    }
}

/// Between two revocations.
const PAUSE: Duration = Duration::from_millis(50);

#[rstest]
#[tokio::test]
async fn a_failover_to_a_synchronous_standby_loses_no_revocation(
    #[values(Killed, Frozen, Retired)] fate: Fate,
) {
    let scene = Scene::begin_with_own_postgres(&[]).await;
    let standby = scene.deployment.primary().with_synchronous_standby().await;
    let kept = one_on_each(&scene).await;
    let doomed = scene.log_in_several(A, "ada@example.com", 12).await;
    for session in kept.iter().chain(&doomed) {
        is_known_everywhere(&scene, session).await;
    }

    let (first, others) = doomed.split_at(4);
    let before = end_each(&scene, first).await;
    assert!(before.contains(&Some(204)), "{before:?}");
    scene.oracle.allow(&EVERYWHERE, Leave::CannotTellOfTheDead);
    let fails_over = async {
        tokio::time::sleep(2 * PAUSE).await;
        scene.oracle.note(format!("the primary is {fate:?}"));
        fate.strike(&scene.deployment).await;
        // Some of those who revoke are told so.
        tokio::time::sleep(PROMISED).await;
        fail_over(&scene, &standby).await
    };
    let (during, taken) = tokio::join!(end_each(&scene, others), fails_over);
    let lost = during.iter().filter(|status| **status != Some(204)).count();
    println!(
        "{fate:?}: as before after {taken:?}; {lost} of {} not answered",
        others.len()
    );
    if fate == Frozen {
        scene.deployment.primary().thaw();
        scene.oracle.note("the old primary wakes up");
        scene.recovers_within(RECOVERY, &EVERYWHERE).await;
    }

    for (session, status) in first.iter().zip(before).chain(others.iter().zip(during)) {
        if status == Some(204) {
            is_refused_everywhere(&scene, session).await;
        } else {
            // It is not known whether it was done; but it was, or it was not.
            all_agree(&scene, session).await;
        }
    }
    for session in &kept {
        is_known_everywhere(&scene, session).await;
    }
    assert_eq!(
        have_seen_another_log(&scene),
        [false; 3],
        "nothing was lost"
    );
    scene.ends().await;
}

/// Nobody waited for this standby, and what was answered last never reached it.
#[tokio::test]
async fn what_an_asynchronous_standby_has_lost_is_ended_again() {
    let mut scene = Scene::begin_with_own_postgres(&[]).await;
    let primary = scene.deployment.primary();
    let line = FaultProxy::before(primary.address());
    let standby = OwnPostgres::standby_of(line.address);
    let kept = one_on_each(&scene).await;
    let doomed = scene.log_in_several(A, "ada@example.com", 4).await;
    for session in kept.iter().chain(&doomed) {
        is_known_everywhere(&scene, session).await;
    }
    scene.deployment.primary().is_followed().await;
    line.cut();
    scene.oracle.note("the standby is cut off");
    let answers = end_each(&scene, &doomed).await;
    let ended = || {
        doomed
            .iter()
            .zip(&answers)
            .filter(|(_, status)| **status == Some(204))
    };
    assert_ne!(ended().count(), 0, "{answers:?}");
    for (session, _) in ended() {
        is_refused_everywhere(&scene, session).await;
    }

    // Until they know what was lost, they know nothing.
    scene.may_not_tell(&EVERYWHERE);
    scene.deployment.primary().kill().await;
    let taken = fail_over(&scene, &standby).await;
    println!("as before after {taken:?}");
    assert_eq!(have_seen_another_log(&scene), [true; 3]);
    for at in EVERYWHERE {
        println!("LOG {at:?}\n{}", scene.deployment[at].log());
    }
    // Who begins now knows what the ledger says, and nothing else.
    scene.oracle.allow(&[C], Leave::Silence);
    let newcomer = scene.deployment.instance_mut(C);
    newcomer.signal("TERM");
    newcomer.program().ends_within(RECOVERY).await;
    newcomer.start_again();
    scene.deployment[C].is_ready().await;
    scene.oracle.expect_all(&[C]);
    for (session, _) in ended() {
        is_refused_everywhere(&scene, session).await;
    }
    for session in &kept {
        is_known_everywhere(&scene, session).await;
    }
    scene.ends().await;
}

/// What was spoken of the log before it was set back is nothing that anybody waits for.
#[tokio::test]
async fn after_a_failover_that_has_lost_commits_checks_go_on_for_the_grace_as_before() {
    let grace = ("GATELODGE_SESSION__LEDGER_GRACE", "30s");
    let scene = Scene::begin_with_own_postgres(&[grace]).await;
    let line = FaultProxy::before(scene.deployment.primary().address());
    let standby = OwnPostgres::standby_of(line.address);
    let kept = one_on_each(&scene).await;
    for session in &kept {
        is_known_everywhere(&scene, session).await;
    }
    scene.deployment.primary().is_followed().await;
    line.cut();
    // More entries than the log gets again until it is needed.
    for n in 0..40 {
        let name = json!({ "name": format!("Ada {n}") });
        let change = kept[0].browser.request(Method::PATCH, "/api/account");
        assert_eq!(answer_to(change.json(&name)).await, Some(200));
    }

    scene.may_not_tell(&EVERYWHERE);
    scene.deployment.primary().kill().await;
    fail_over(&scene, &standby).await;
    assert_eq!(have_seen_another_log(&scene), [true; 3]);
    // By then, each has asked the ledger after the others have spoken of it.
    tokio::time::sleep(PROMISED).await;

    scene.oracle.note("the new primary is frozen");
    standby.freeze();
    tokio::time::sleep(LEASE + PROMISED).await;
    is_known_everywhere(&scene, &kept[0]).await;
    standby.thaw();
    scene.recovers_within(RECOVERY, &EVERYWHERE).await;
    scene.ends().await;
}

/// It would be a promise that only one server has heard.
#[tokio::test]
async fn while_the_synchronous_standby_is_away_nothing_is_promised() {
    let scene = Scene::begin_with_own_postgres(&[]).await;
    let standby = scene.deployment.primary().with_synchronous_standby().await;
    let kept = one_on_each(&scene).await;
    let doomed = scene.log_in_several(A, "ada@example.com", 3).await;
    for session in kept.iter().chain(&doomed) {
        is_known_everywhere(&scene, session).await;
    }
    standby.freeze();
    scene.oracle.note("the standby is frozen");
    for (at, session) in EVERYWHERE.into_iter().zip(&doomed) {
        let status = scene.end_at(at, session, Bounds::all(LEASE)).await;
        assert_eq!(status, Some(503), "{at:?} promises what may be lost");
        let mut browser = scene.deployment[at].browser();
        let answer = browser.log_in("ada@example.com", PASSWORD).await;
        answer.assert_problem(503, "unavailable");
    }
    standby.thaw();
    scene.oracle.note("the standby is back");
    let thawed_at = Instant::now();
    scene.recovers_within(RECOVERY, &EVERYWHERE).await;
    println!("as before after {:?}", thawed_at.elapsed());
    for session in &doomed {
        all_agree(&scene, session).await;
    }
    for session in &kept {
        is_known_everywhere(&scene, session).await;
    }
    scene.ends().await;
}

/// With the file in `deploy/`, but for the addresses: nobody tells it who the primary is.
#[tokio::test]
async fn haproxy_follows_the_primary_and_leads_nobody_to_one_of_two() {
    let mut scene = Scene::begin_with_own_postgres(&[]).await;
    let primary = scene.deployment.primary();
    let standby = primary.with_synchronous_standby().await;
    primary.run("create role haproxy login").await;
    let haproxy = haproxy_before([primary.address(), standby.address()]);
    let kept = one_on_each(&scene).await;
    let doomed = scene.log_in_several(A, "ada@example.com", 3).await;
    for session in kept.iter().chain(&doomed) {
        is_known_everywhere(&scene, session).await;
    }
    let url = format!("postgres://postgres@{}/postgres", haproxy.address);
    within(RECOVERY, "it leads to the primary", async || {
        takes_writes(&url).await
    })
    .await;
    scene.deployment.lead_to(haproxy.address);
    let answers = end_each(&scene, &doomed).await;

    scene.oracle.allow(&EVERYWHERE, Leave::CannotTellOfTheDead);
    scene.deployment.primary().kill().await;
    scene.oracle.note("the primary is killed");
    standby.promote().await;
    let promoted_at = Instant::now();
    scene.recovers_within(RECOVERY, &EVERYWHERE).await;
    println!(
        "as before after {:?}, through HAProxy",
        promoted_at.elapsed()
    );
    for (session, status) in doomed.iter().zip(answers) {
        if status == Some(204) {
            is_refused_everywhere(&scene, session).await;
        }
    }
    for session in &kept {
        is_known_everywhere(&scene, session).await;
    }

    // As nobody should have it.
    scene.deployment.own_postgres().come_back().await;
    within(RECOVERY, "nobody is led anywhere", async || {
        !takes_writes(&url).await
    })
    .await;
    scene.ends().await;
}

async fn takes_writes(url: &str) -> bool {
    let Ok(mut connection) = PgConnection::connect(url).await else {
        return false;
    };
    let answer = sqlx::query_scalar::<_, bool>("select not pg_is_in_recovery()");
    answer
        .fetch_one(&mut connection)
        .await
        .is_ok_and(|is_so| is_so)
}

fn haproxy_before(servers: [SocketAddr; 2]) -> Process {
    const FILE: &str = include_str!("../../deploy/haproxy/postgres.cfg");
    let binary = debian("haproxy", "haproxy");
    started("HAProxy", "TERM", |directory, port| {
        let [one, two] = servers.map(|server| server.to_string());
        let text = FILE
            .replace("127.0.0.1:5432", &format!("127.0.0.1:{port}"))
            .replace("10.0.0.1:5432", &one)
            .replace("10.0.0.2:5432", &two);
        let file = directory.join("postgres.cfg");
        std::fs::write(&file, text).expect("a file");
        let mut command = Command::new(&binary);
        command.arg("-f").arg(file);
        command
    })
}

async fn one_on_each(scene: &Scene) -> Vec<Session> {
    let mut sessions = Vec::new();
    for at in EVERYWHERE {
        sessions.push(scene.log_in(at, "ada@example.com").await);
    }
    sessions
}

/// Makes the standby the primary, and has the instances led there; how long it takes
/// from then on until all is as it was.
async fn fail_over(scene: &Scene, standby: &OwnPostgres) -> Duration {
    standby.promote().await;
    scene.deployment.lead_to(standby.address());
    scene.oracle.note("the standby is the primary");
    let promoted_at = Instant::now();
    scene.recovers_within(RECOVERY, &EVERYWHERE).await;
    promoted_at.elapsed()
}

/// One after the other, each on another instance.
async fn end_each(scene: &Scene, sessions: &[Session]) -> Vec<Option<u16>> {
    let mut answers = Vec::new();
    for (at, session) in EVERYWHERE.into_iter().cycle().zip(sessions) {
        answers.push(scene.end_at(at, session, Bounds::all(LEASE)).await);
        tokio::time::sleep(PAUSE).await;
    }
    answers
}

async fn is_known_everywhere(scene: &Scene, session: &Session) {
    for at in EVERYWHERE {
        scene.says(at, session.watch, 200).await;
    }
}

async fn is_refused_everywhere(scene: &Scene, session: &Session) {
    for at in EVERYWHERE {
        scene.says(at, session.watch, 401).await;
    }
}

async fn all_agree(scene: &Scene, session: &Session) {
    within(PROMISED, "all agree", async || {
        let asked = EVERYWHERE.map(|at| status_at(scene, at, &session.browser));
        let answers = join_all(asked).await;
        answers
            .iter()
            .all(|status| *status == answers[0] && *status != 503)
    })
    .await;
}

/// Whether the log was not the one that an instance knew.
fn have_seen_another_log(scene: &Scene) -> [bool; 3] {
    EVERYWHERE.map(|at| scene.deployment[at].log().contains("not the one it was"))
}

async fn status_at(scene: &Scene, at: At, browser: &Browser) -> u16 {
    let mut there = browser.at(scene.deployment[at].address());
    there.whoami().await.status
}
