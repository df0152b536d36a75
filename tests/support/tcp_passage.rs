//! Stands between an instance and a server, and can turn into a black hole:
//! connections stay up, and nothing comes through any more.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct TcpPassage {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// Where new connections lead.
    server: Mutex<SocketAddr>,
    /// Connections made before the last change of this lead nowhere.
    swallowed: watch::Sender<()>,
    connections: AtomicUsize,
}

impl TcpPassage {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            swallowed: watch::Sender::new(()),
            connections: AtomicUsize::new(0),
        });
        let passage = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                passage.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(pass(client, Arc::clone(&passage)));
            }
        });
        Self { address, shared }
    }

    /// Where connections lead that are made from now on.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap() = server;
    }

    /// Nothing comes through the connections there are; new ones are as good as ever.
    pub fn swallow(&self) {
        self.shared.swallowed.send_replace(());
    }

    /// Connections since the start.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

async fn pass(mut client: TcpStream, passage: Arc<Shared>) -> std::io::Result<()> {
    let mut swallowed = passage.swallowed.subscribe();
    let server = *passage.server.lock().unwrap();
    let mut server = TcpStream::connect(server).await?;
    tokio::select! {
        ended = copy_bidirectional(&mut client, &mut server) => ended.map(drop),
        _ = swallowed.changed() => std::future::pending().await,
    }
}
