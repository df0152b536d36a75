//! Stands between an instance and PostgreSQL, and counts how often the server
//! says that it is ready for the next query: once per round trip.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};

pub struct PostgresProxy {
    pub address: SocketAddr,
    counts: Arc<Counts>,
}

const COMMAND_COMPLETE: u8 = b'C';
const READY_FOR_QUERY: u8 = b'Z';
const IDLE: &[u8] = b"I";

#[derive(Default)]
struct Counts {
    round_trips: AtomicUsize,
    transactions: AtomicUsize,
}

impl PostgresProxy {
    pub async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                let (mut from_client, to_client) = client.into_split();
                let (from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
                tokio::spawn(pass_and_count(from_server, to_client, Arc::clone(&shared)));
            }
        });
        Self { address, counts }
    }

    /// Round trips and transactions since the last call.
    pub fn take(&self) -> (usize, usize) {
        (
            self.counts.round_trips.swap(0, Ordering::SeqCst),
            self.counts.transactions.swap(0, Ordering::SeqCst),
        )
    }
}

/// The server's messages: a type, a length that counts itself, and a body.
async fn pass_and_count(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    counts: Arc<Counts>,
) -> std::io::Result<()> {
    let mut has_worked = false;
    loop {
        let kind = from.read_u8().await?;
        let length = from.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        from.read_exact(&mut body).await?;
        match kind {
            COMMAND_COMPLETE => has_worked = true,
            READY_FOR_QUERY => {
                counts.round_trips.fetch_add(1, Ordering::SeqCst);
                if body == IDLE && std::mem::take(&mut has_worked) {
                    counts.transactions.fetch_add(1, Ordering::SeqCst);
                }
            }
            _ => {}
        }
        let message = [&[kind][..], &length.to_be_bytes(), &body].concat();
        to.write_all(&message).await?;
    }
}
