//! Stands between an instance and a server, and breaks the network there, while
//! both go on: the one place where a test can say who reaches whom.
//!
//! It runs on a thread of its own, so that however busy a test is, the network is
//! no slower than it is told to be. Dropped, it ends every flow.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

pub struct FaultProxy {
    pub address: SocketAddr,
    weather: watch::Sender<Weather>,
}

/// What the network does to those who talk through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Everything arrives, in either direction, that much later.
    Delay(Duration),
    /// Every flow is ended, a new one as soon as it begins.
    Cut(Ending),
    /// Nothing arrives any more and nobody is told. What was sent meanwhile arrives
    /// when the network passes again, since TCP repeats it.
    Silent(NewFlows),
    /// Silent to those whose client has said this near its beginning, such as
    /// `SUBSCRIBE`.
    Muted(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// RST, as of a process that was killed or a firewall that refuses.
    Reset,
    /// FIN, as of a server that closes properly.
    Closed,
}

/// What becomes of flows that begin while the others are silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewFlows {
    /// They are silent as well: nobody reaches the server.
    Hang,
    /// They pass: only what was established is dead, as after a failover.
    Pass,
}

/// The mode, how many there were before it, and where new flows lead.
#[derive(Clone, Copy)]
struct Weather {
    mode: Mode,
    changes: u64,
    server: SocketAddr,
}

impl FaultProxy {
    /// A proxy before that server, which lets everything pass.
    pub fn before(server: impl ToSocketAddrs) -> Self {
        let server = server.to_socket_addrs().expect("an address").next();
        let server = server.expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        listener.set_nonblocking(true).expect("a listener");
        let (weather, watched) = watch::channel(Weather {
            mode: Mode::Pass,
            changes: 0,
            server,
        });
        std::thread::Builder::new()
            .name(format!("proxy-{}", address.port()))
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime
                    .expect("a runtime")
                    .block_on(serve(listener, watched));
            })
            .expect("a thread");
        Self { address, weather }
    }

    /// A proxy before the server that the URL names, and the URL that goes by it.
    pub fn before_url(url: &str) -> (Self, String) {
        let mut url = Url::parse(url).expect("a URL");
        let host = url.host_str().expect("a host").to_owned();
        let proxy = Self::before((host, url.port().expect("a port")));
        url.set_host(Some(&proxy.address.ip().to_string()))
            .expect("a host");
        url.set_port(Some(proxy.address.port())).expect("a port");
        (proxy, url.into())
    }

    /// From now on, for flows that there are and flows to come.
    pub fn set(&self, mode: Mode) {
        self.weather.send_modify(|weather| {
            weather.mode = mode;
            weather.changes += 1;
        });
    }

    /// Where flows lead that begin from now on; those that there are stay.
    pub fn lead_to(&self, server: SocketAddr) {
        self.weather.send_modify(|weather| weather.server = server);
    }

    pub fn pass(&self) {
        self.set(Mode::Pass);
    }

    /// Nobody reaches the server, and all are told so.
    pub fn cut(&self) {
        self.set(Mode::Cut(Ending::Reset));
    }

    /// Nobody reaches the server, and nobody is told.
    pub fn silence(&self) {
        self.set(Mode::Silent(NewFlows::Hang));
    }
}

async fn serve(listener: TcpListener, watched: watch::Receiver<Weather>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let mut until_dropped = watched.clone();
    let accept = async {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, watched.clone()));
        }
    };
    tokio::select! {
        () = accept => {}
        _ = until_dropped.wait_for(|_| false) => {}
    }
}

/// One flow, from its beginning to its end.
async fn carry(mut client: TcpStream, watched: watch::Receiver<Weather>) {
    let passage = Passage {
        begun_after: watched.borrow().changes,
        watched: watched.clone(),
    };
    let connect = async {
        passage.clone().open(Instant::now(), &[]).await?;
        let server = passage.watched.borrow().server;
        TcpStream::connect(server).await
    };
    let connected = tokio::select! {
        biased;
        ending = cut(watched.clone()) => Err(ending),
        server = connect => server.map_err(|_| Ending::Reset),
    };
    let mut server = match connected {
        Ok(server) => server,
        Err(ending) => return end(&client, ending),
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let ending = tokio::select! {
        biased;
        ending = cut(watched) => ending,
        ending = exchange(&mut client, &mut server, passage) => ending,
    };
    end(&client, ending);
    end(&server, ending);
}

/// How it will look when the stream is dropped.
fn end(stream: &TcpStream, ending: Ending) {
    if ending == Ending::Reset {
        let _ = stream.set_zero_linger();
    }
}

async fn cut(mut watched: watch::Receiver<Weather>) -> Ending {
    let is_cut = |weather: &Weather| matches!(weather.mode, Mode::Cut(_));
    match watched.wait_for(is_cut).await.map(|weather| weather.mode) {
        Ok(Mode::Cut(ending)) => ending,
        _ => Ending::Reset,
    }
}

async fn exchange(client: &mut TcpStream, server: &mut TcpStream, passage: Passage) -> Ending {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let (said, heard) = watch::channel(Vec::new());
    let there = pump(from_client, to_server, passage.clone(), |chunk| {
        said.send_modify(|said| {
            let room = KEPT.saturating_sub(said.len());
            said.extend_from_slice(&chunk[..room.min(chunk.len())]);
        });
        said.borrow().clone()
    });
    let back = pump(from_server, to_client, passage, |_| heard.borrow().clone());
    match tokio::try_join!(there, back) {
        Ok(_) => Ending::Closed,
        Err(_) => Ending::Reset,
    }
}

/// How much of what a client says is remembered for [`Mode::Muted`].
const KEPT: usize = 1024;

/// Carries one direction of a flow. `said` is told what arrives, and answers what
/// the client has said so far.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut passage: Passage,
    mut said: impl FnMut(&[u8]) -> Vec<u8>,
) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut chunk).await?;
        let chunk = &chunk[..length];
        passage.open(Instant::now(), &said(chunk)).await?;
        if chunk.is_empty() {
            return to.shutdown().await;
        }
        to.write_all(chunk).await?;
    }
}

/// Where a flow waits for the network.
#[derive(Clone)]
struct Passage {
    begun_after: u64,
    watched: watch::Receiver<Weather>,
}

impl Passage {
    /// Waits until what was sent at that time may arrive; an error once the proxy
    /// is dropped.
    async fn open(&mut self, sent_at: Instant, said: &[u8]) -> io::Result<()> {
        loop {
            let weather = *self.watched.borrow_and_update();
            let until = match weather.mode {
                Mode::Pass | Mode::Cut(_) => return Ok(()),
                Mode::Delay(delay) if sent_at.elapsed() >= delay => return Ok(()),
                Mode::Delay(delay) => Some(sent_at + delay),
                Mode::Silent(NewFlows::Pass) if self.begun_after >= weather.changes => {
                    return Ok(());
                }
                Mode::Muted(word) if !contains(said, word.as_bytes()) => return Ok(()),
                Mode::Silent(_) | Mode::Muted(_) => None,
            };
            let due = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.watched.changed() => changed.map_err(io::Error::other)?,
                () = due => {}
            }
        }
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
