//! An app that knows nothing of Gatelodge: it says what it got, byte by byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::client::{content_length, headers};

/// What every answer of the app has in its head.
pub const MARK: &str = "X-App: reached\r\n";

/// To the key of RFC 6455, 1.3.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Answers until the test ends.
pub async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

/// Each request's head and body come back as the answer's body; what follows an
/// upgrade, to whatever it is, comes back as it is.
async fn answer(mut stream: TcpStream) -> Option<()> {
    let mut received = Vec::new();
    loop {
        let end = until(&mut stream, &mut received, b"\r\n\r\n").await?;
        let head = String::from_utf8_lossy(&received[..end]).into_owned();
        let lower = head.to_lowercase();
        if lower.contains("\r\nupgrade: ") {
            return echo(stream, &asked_for(&lower)).await;
        }
        let length = if lower.contains("\r\ntransfer-encoding: chunked\r\n") {
            until(&mut stream, &mut received, b"\r\n0\r\n\r\n").await?
        } else {
            end + content_length(&head)
        };
        while received.len() < length {
            read(&mut stream, &mut received).await?;
        }
        let request: Vec<u8> = received.drain(..length).collect();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n{MARK}\r\n",
            request.len()
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
        if !head.starts_with("HEAD ") {
            stream.write_all(&request).await.ok()?;
        }
    }
}

/// Reads until that is there; where it ends.
async fn until(stream: &mut TcpStream, received: &mut Vec<u8>, end: &[u8]) -> Option<usize> {
    loop {
        if let Some(at) = received.windows(end.len()).position(|it| it == end) {
            return Some(at + end.len());
        }
        read(stream, received).await?;
    }
}

async fn read(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<()> {
    let count = stream.read_buf(received).await.ok()?;
    (count > 0).then_some(())
}

/// What it is to switch to, of all the headers that say so.
fn asked_for(head: &str) -> String {
    let upgrades = headers(head).filter(|(name, _)| *name == "upgrade");
    let upgrades: Vec<_> = upgrades.map(|(_, value)| value).collect();
    upgrades.join("+")
}

async fn echo(mut stream: TcpStream, to: &str) -> Option<()> {
    let switch = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: {to}\r\nX-Upgrade: {to}\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n{MARK}\r\n"
    );
    stream.write_all(switch.as_bytes()).await.ok()?;
    let (mut from, mut back) = stream.split();
    tokio::io::copy(&mut from, &mut back).await.ok()?;
    Some(())
}
