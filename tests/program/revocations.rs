//! Streams of revocations that nobody reads.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};

use crate::support::feed::{CREDENTIAL, MANY, Service};
use crate::support::program::{Program, command};
use crate::support::within;

const STREAMS: usize = 20;

/// In KiB: what goes past all of them is 150 MiB.
const TOLERATED: u64 = 50 * 1024;

/// Asks for a stream, and reads nothing of it.
fn unread_stream(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /api/revocations HTTP/1.1\r\nhost: localhost\r\n\
         accept: text/event-stream\r\nauthorization: Bearer {CREDENTIAL}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    socket
}

fn memory(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().split_whitespace().next().unwrap();
    number.parse().unwrap()
}

async fn open_streams(metrics: SocketAddr) -> usize {
    let page = reqwest::get(format!("http://{metrics}/metrics")).await;
    let page = page.unwrap().text().await.unwrap();
    let mut lines = page.lines();
    let number = lines.find_map(|line| line.strip_prefix("gatelodge_revocation_streams "));
    number.unwrap().parse().unwrap()
}

#[tokio::test]
async fn who_does_not_read_takes_no_memory_delays_nobody_and_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = SocketAddr::from(([127, 0, 0, 1], crate::support::servers::free_port()));
    let mut serve = command(folder.path());
    serve
        .env("GATELODGE_REVOCATIONS__CREDENTIALS", CREDENTIAL)
        .env("GATELODGE_METRICS__BIND", metrics.to_string());
    let program = Program::run(serve);
    let service = Service::of(program.address);
    let unread: Vec<_> = (0..STREAMS)
        .map(|_| unread_stream(program.address))
        .collect();
    let mut stream = service.stream(None).await;
    stream.up_to_head().await;
    within(Duration::from_secs(5), "all are open", async || {
        open_streams(metrics).await == STREAMS + 1
    })
    .await;

    let before = memory(&program);
    let database = folder.path().join("data/gatelodge.db");
    let ledger = SqliteConnection::connect(&format!("sqlite://{}", database.display())).await;
    let mut ledger = ledger.unwrap();
    for _ in 0..20 {
        sqlx::raw_sql(MANY).execute(&mut ledger).await.unwrap();
    }
    for number in 1..=50_000 {
        assert_eq!(stream.entry().await["number"], number);
    }
    let grown = memory(&program).saturating_sub(before);
    assert!(grown < TOLERATED, "{grown} KiB");

    let mut browser = program.browser();
    let password = "correct horse battery staple";
    assert_eq!(
        browser.register("ada@example.com", password).await.status,
        201
    );
    assert_eq!(browser.log_out().await.status, 204);
    let told = tokio::time::timeout(Duration::from_secs(1), stream.entry()).await;
    told.expect("who reads hears at once");
    within(
        Duration::from_secs(15),
        "who does not read is cut",
        async || open_streams(metrics).await == 1,
    )
    .await;
    stream.next_of("head").await;
    drop(unread);
}
