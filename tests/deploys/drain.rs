//! What an instance does between the signal and its end.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::fleet::Build::New;
use crate::fleet::Fleet;
use crate::support::Stack::Embedded;
use crate::support::{TestApp, within};

const REQUEST: &str = "GET /api/sessions/whoami HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The head of the answer on a connection that is kept.
fn ask(connection: &mut TcpStream) -> String {
    connection.write_all(REQUEST.as_bytes()).unwrap();
    let mut answer = vec![0; 8192];
    let length = connection.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).to_lowercase()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_drains_is_not_ready_and_answers_as_before() {
    let mut fleet = Fleet::start(New, "24s").await;
    let connect = |address: SocketAddr| {
        let mut connection = TcpStream::connect(address).unwrap();
        assert!(!ask(&mut connection).contains("connection: close"));
        connection
    };
    let address = fleet.addresses()[0];
    let (mut used, mut idle) = (connect(address), connect(address));

    let told_at = Instant::now();
    fleet.instance(0).signal("TERM");
    within(Duration::from_secs(1), "it is not ready", async || {
        fleet.browser(0).get("/health/ready").await.status == 503
    })
    .await;
    let not_ready = fleet.browser(0).get("/health/ready").await;
    not_ready.assert_problem(503, "draining");
    let checked = fleet.command(0).arg("healthcheck").output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    let error = String::from_utf8(checked.stderr).unwrap();
    assert!(error.contains("not ready: draining"), "{error}");
    assert_eq!(fleet.browser(0).get("/health/alive").await.status, 200);
    let answer = ask(&mut used);
    assert!(answer.starts_with("http/1.1 401 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    let mut rest = Vec::new();
    assert_eq!(used.read_to_end(&mut rest).unwrap(), 0, "it is the last");

    let mut nothing = [0; 1];
    let still_open = Duration::from_secs(6).saturating_sub(told_at.elapsed());
    assert!(still_open > Duration::from_secs(1), "too slow to tell");
    idle.set_nonblocking(true).unwrap();
    assert_eq!(
        idle.read(&mut nothing).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    idle.set_nonblocking(false).unwrap();
    assert_eq!(
        idle.read(&mut nothing).unwrap(),
        0,
        "it is closed, not reset"
    );
    assert!(told_at.elapsed() > Duration::from_secs(5));
    let patience = Duration::from_secs(5);
    assert!(fleet.instance(0).ends_within(patience).await.success());

    for signals in [["TERM", "TERM"], ["TERM", "INT"]] {
        fleet.start_again(0, New).await;
        let told_at = Instant::now();
        for signal in signals {
            fleet.instance(0).signal(signal);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(fleet.instance(0).ends_within(patience).await.success());
        assert!(told_at.elapsed() < patience, "{signals:?}: at once");
    }
}

/// Nobody waits for its load balancers: on SQLite there is no other to go to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_let_in_while_it_stops_is_answered() {
    let mut app = TestApp::spawn(Embedded).await;
    let address = app.address;
    let clients: Vec<_> = (0..8)
        .map(|_| std::thread::spawn(move || come_until_refused(address)))
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    app.stop().await;
    for client in clients {
        client.join().unwrap();
    }
}

/// One connection after the other, each with a request that no proxy may send again.
fn come_until_refused(address: SocketAddr) {
    let request = "POST /api/logout HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    loop {
        let mut connection = match TcpStream::connect(address) {
            Ok(connection) => connection,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            Err(error) => panic!("{error}"),
        };
        let mut answer = [0; 12];
        let asked = connection.write_all(request.as_bytes());
        let answered = asked.and_then(|()| connection.read_exact(&mut answer));
        answered.expect("an answer to whoever was let in");
        assert_eq!(&answer, b"HTTP/1.1 204");
    }
}
