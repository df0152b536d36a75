//! Clients that are slow on purpose: they are cut, and nobody else notices.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Stack::Embedded;
use crate::support::TestApp;
use crate::support::slow::{BEGINNING, BODY, WHOLE, is_answered};

/// When a slow client must have been cut.
const PROMISE: Duration = Duration::from_secs(15);

/// A connection that has had `answers` already.
async fn connection(address: SocketAddr, answers: usize) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    for _ in 0..answers {
        is_answered(&mut socket).await;
    }
    socket
}

/// Sends `first` at once and then, if the client goes on, a byte each moment; how long
/// until the server has ended the connection.
async fn cut_after(socket: TcpStream, first: &str, goes_on: bool) -> Duration {
    let started = Instant::now();
    let (mut from, mut to) = socket.into_split();
    to.write_all(first.as_bytes()).await.unwrap();
    let going_on = async {
        while goes_on && to.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut answers = Vec::new();
    let cut = tokio::time::timeout(PROMISE, async {
        tokio::select! {
            // A reset, if it has said more.
            end = from.read_to_end(&mut answers) => drop(end),
            () = going_on => {}
        }
    });
    let cut = cut.await;
    let answers = String::from_utf8_lossy(&answers);
    assert!(cut.is_ok(), "{first}: it is not cut; {answers}");
    started.elapsed()
}

#[rstest]
#[tokio::test]
async fn a_slow_client_is_cut_whatever_it_is_slow_with(#[values(false, true)] goes_on: bool) {
    let app = TestApp::spawn(Embedded).await;
    let of_a_check = BODY.replace("POST /api/login", "POST /api/authz/forward-auth");
    let after_another = format!("{WHOLE}{BEGINNING}");
    let slow = [
        (0, ""),
        (0, "G"),
        (0, BEGINNING),
        (0, BODY),
        (0, &of_a_check),
        (1, "G"),
        (1, BEGINNING),
        (2, BEGINNING),
        (1, BODY),
        // Without another word, it is kept for the next request.
        (0, if goes_on { &after_another } else { BEGINNING }),
    ];
    let all = slow.map(|(answers, first)| async move {
        let socket = connection(app.address, answers).await;
        let cut = cut_after(socket, first, goes_on).await;
        assert!(cut < PROMISE, "{first}: {cut:?}");
    });
    futures_util::future::join_all(all).await;
}

/// It asks for more and more, and takes nothing.
#[tokio::test]
async fn a_client_that_does_not_take_its_answers_is_cut() {
    let app = TestApp::spawn(Embedded).await;
    let mut socket = TcpStream::connect(app.address).await.unwrap();
    let request = WHOLE.replace("/health/alive", "/openapi.json");
    let asking = async { while socket.write_all(request.as_bytes()).await.is_ok() {} };
    let cut = tokio::time::timeout(PROMISE, asking).await;
    assert!(cut.is_ok(), "it is not cut");
}

/// An answer that takes longer than a head may is no reason to cut who waits for it.
#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let app = TestApp::spawn(Embedded).await;
    let mut socket = connection(app.address, 1).await;
    for pause in [2, 6, 12, 0] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        is_answered(&mut socket).await;
    }
}
