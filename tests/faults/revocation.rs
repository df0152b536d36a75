//! Nothing is broken, or only the client: how soon a revocation holds everywhere.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::deployment::{A, B, C, EVERYWHERE};
use crate::oracle::Bounds;
use crate::rounds;
use crate::scene::{PROMISED, Scene, Session, answer_to};
use crate::support::Browser;
use crate::support::app::PASSWORD;
use crate::support::browser::COOKIE_NAME;

/// The 99th of a hundred, while all is healthy (P1).
const USUALLY: Duration = Duration::from_millis(250);

/// How often a session is asked about where delays are measured.
const FINE: Duration = Duration::from_millis(5);

#[tokio::test]
async fn a_revocation_holds_everywhere_in_time() {
    let scene = Scene::begin_alone(&[], FINE).await;
    let mut delays = Vec::new();
    for round in 0..rounds(200) {
        let at = EVERYWHERE[round % 2];
        let session = scene.log_in(at, "ada@example.com").await;
        for at in EVERYWHERE {
            scene.says(at, session.watch, 200).await;
        }
        scene.must_end_at(at, &session, Bounds::all(PROMISED)).await;
        for at in EVERYWHERE {
            scene.says(at, session.watch, 401).await;
        }
        delays.push(scene.oracle.delay(session.watch, at));
        scene.oracle.retire(session.watch);
    }
    scene.ends().await;
    delays.sort();
    let (median, usual, longest) = (
        delays[delays.len() / 2],
        delays[delays.len() * 99 / 100],
        delays[delays.len() - 1],
    );
    println!("accepted elsewhere after: median {median:?}, p99 {usual:?}, at most {longest:?}");
    assert!(usual <= USUALLY, "{usual:?}");
}

#[tokio::test]
async fn who_waits_until_a_revocation_is_effective_sees_it_accepted_nowhere() {
    let scene = Scene::begin(&[]).await;
    let _kept = scene.log_in(B, "ada@example.com").await;
    for _ in 0..rounds(200) {
        let mut browser = scene.deployment[A].browser();
        assert_eq!(
            browser.log_in("ada@example.com", PASSWORD).await.status,
            200
        );
        let id = browser.session_id().await;
        let mut there = [B, C].map(|at| browser.at(scene.deployment[at].address()));
        for browser in &mut there {
            assert_eq!(browser.whoami().await.status, 200);
        }
        let path = format!("/api/sessions/{id}?wait=effective");
        let request = browser.request(Method::DELETE, &path);
        assert_eq!(answer_to(request).await, Some(204));
        let asked = join_all(there.iter_mut().map(Browser::whoami)).await;
        for answer in asked {
            answer.assert_refused();
        }
    }
    scene.ends().await;
}

/// Sends a request to end a session, and resets the connection that long after.
async fn hang_up(session: &Session, address: std::net::SocketAddr, after: Duration) {
    let token = session.browser.token.as_deref().unwrap();
    let request = format!(
        "DELETE /api/sessions/{} HTTP/1.1\r\nHost: localhost:8080\r\n\
         Cookie: {COOKIE_NAME}={token}\r\n\r\n",
        session.id
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(after).await;
    stream.set_zero_linger().unwrap();
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_nothing_half_done() {
    const AT_ONCE: usize = 10;
    let scene = Scene::begin(&[]).await;
    let mut kept = scene.log_in(B, "ada@example.com").await;
    let mut ended = 0;
    let rounds = rounds(5);
    for _ in 0..rounds {
        let sessions = scene.log_in_several(A, "ada@example.com", AT_ONCE).await;
        for session in &sessions {
            scene.oracle.end_is_asked(session.watch);
        }
        let hung_up = (0..).zip(&sessions).map(|(millis, session)| {
            let after = Duration::from_millis(millis);
            hang_up(session, scene.deployment[A].address(), after)
        });
        join_all(hung_up).await;
        let hung_up_at = Instant::now();
        tokio::time::sleep_until((hung_up_at + PROMISED).into()).await;
        let listed = kept.browser.list_sessions().await.text;
        for session in &sessions {
            let mut said = Vec::new();
            for at in EVERYWHERE.into_iter().cycle().take(2 * EVERYWHERE.len()) {
                let mut there = session.browser.at(scene.deployment[at].address());
                said.push(there.whoami().await.status);
            }
            let expected = if listed.contains(&session.id) {
                200
            } else {
                401
            };
            assert!(said.iter().all(|status| *status == expected), "{said:?}");
            ended += usize::from(expected == 401);
            scene.oracle.retire(session.watch);
        }
    }
    println!("{ended} of {} were ended", rounds * AT_ONCE);
    scene.ends().await;
}

#[tokio::test]
async fn a_user_has_no_more_sessions_than_allowed_wherever_they_log_in() {
    const ALLOWED: usize = 3;
    let settings = [("GATELODGE_SESSION__MAX_PER_USER", "3")];
    let scene = Scene::begin(&settings).await;
    for round in 0..rounds(2) {
        let email = format!("ada{round}@example.com");
        let mut first = scene.deployment[A].browser();
        assert_eq!(first.register(&email, PASSWORD).await.status, 201);
        let logins = EVERYWHERE.into_iter().cycle().take(24).map(async |at| {
            let mut browser = scene.deployment[at].browser();
            let status = browser.log_in(&email, PASSWORD).await.status;
            // The hasher's queue may be full.
            assert!(matches!(status, 200 | 503), "{status}");
            (status == 200).then_some(browser)
        });
        let answers = join_all(logins).await;
        // Such a log-in may have been carried out: then nobody holds its cookie.
        let unanswered = answers.iter().filter(|answer| answer.is_none()).count();
        let mut browsers: Vec<_> = answers.into_iter().flatten().collect();
        browsers.push(first);
        assert!(browsers.len() > ALLOWED);
        tokio::time::sleep(PROMISED).await;
        for at in EVERYWHERE {
            let mut alive = Vec::new();
            for browser in &browsers {
                let mut there = browser.at(scene.deployment[at].address());
                if there.whoami().await.status == 200 {
                    alive.push(there);
                }
            }
            let held = ALLOWED.saturating_sub(unanswered).max(1)..=ALLOWED;
            assert!(held.contains(&alive.len()), "{} on {at:?}", alive.len());
            let listed = alive[0].list_sessions().await.json();
            assert_eq!(listed["sessions"].as_array().unwrap().len(), ALLOWED);
        }
    }
    scene.ends().await;
}
