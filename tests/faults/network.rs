//! The proxy that the other tests break the network with does what it says.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::proxy::{Ending, FaultProxy, Mode, NewFlows};

/// Long enough for a loopback, whatever else the machine does.
const SOON: Duration = Duration::from_secs(5);
/// How long silence is listened to.
const A_WHILE: Duration = Duration::from_millis(100);

/// A proxy before a server that says everything twice, at its own expense.
async fn before_an_echo() -> FaultProxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    FaultProxy::before(address)
}

async fn client_of(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address).await.unwrap()
}

/// Says that and hears it back.
async fn is_echoed(client: &mut TcpStream, word: &str) {
    client.write_all(word.as_bytes()).await.unwrap();
    is_heard(client, word).await;
}

async fn is_heard(client: &mut TcpStream, word: &str) {
    let mut heard = vec![0; word.len()];
    let read = timeout(SOON, client.read_exact(&mut heard)).await;
    read.expect("an echo").unwrap();
    assert_eq!(heard, word.as_bytes());
}

async fn hears_nothing(client: &mut TcpStream) {
    let mut heard = [0];
    let read = timeout(A_WHILE, client.read(&mut heard)).await;
    assert!(read.is_err(), "{read:?}");
}

async fn hears_the_end(client: &mut TcpStream, ending: Ending) {
    let mut heard = [0];
    let read = timeout(SOON, client.read(&mut heard))
        .await
        .expect("an end");
    match ending {
        Ending::Reset => assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset),
        Ending::Closed => assert_eq!(read.unwrap(), 0),
    }
}

#[tokio::test]
async fn a_cut_ends_flows_as_it_says_and_lets_none_begin() {
    let proxy = before_an_echo().await;
    for ending in [Ending::Reset, Ending::Closed] {
        proxy.pass();
        let mut client = client_of(&proxy).await;
        is_echoed(&mut client, "before").await;
        proxy.set(Mode::Cut(ending));
        hears_the_end(&mut client, ending).await;
        // It may be over before the client knows that it has begun.
        match TcpStream::connect(proxy.address).await {
            Ok(mut newcomer) => hears_the_end(&mut newcomer, ending).await,
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    proxy.pass();
    is_echoed(&mut client_of(&proxy).await, "again").await;
}

#[tokio::test]
async fn what_is_said_into_silence_arrives_when_it_is_over() {
    let proxy = before_an_echo().await;
    let mut client = client_of(&proxy).await;
    is_echoed(&mut client, "before").await;
    proxy.silence();
    let mut newcomer = client_of(&proxy).await;
    for client in [&mut client, &mut newcomer] {
        client.write_all(b"meanwhile").await.unwrap();
        hears_nothing(client).await;
    }
    proxy.pass();
    for client in [&mut client, &mut newcomer] {
        is_heard(client, "meanwhile").await;
    }
}

#[tokio::test]
async fn newcomers_may_be_spared_the_silence() {
    let proxy = before_an_echo().await;
    let mut client = client_of(&proxy).await;
    is_echoed(&mut client, "before").await;
    proxy.set(Mode::Silent(NewFlows::Pass));
    client.write_all(b"meanwhile").await.unwrap();
    is_echoed(&mut client_of(&proxy).await, "new").await;
    hears_nothing(&mut client).await;
}

#[tokio::test]
async fn a_mute_silences_only_who_has_said_the_word() {
    let proxy = before_an_echo().await;
    let (mut subscriber, mut other) = (client_of(&proxy).await, client_of(&proxy).await);
    is_echoed(&mut subscriber, "SUBSCRIBE").await;
    is_echoed(&mut other, "GET").await;
    proxy.set(Mode::Muted("SUBSCRIBE"));
    subscriber.write_all(b"meanwhile").await.unwrap();
    hears_nothing(&mut subscriber).await;
    is_echoed(&mut other, "GET").await;
    proxy.pass();
    is_heard(&mut subscriber, "meanwhile").await;
}

#[tokio::test]
async fn a_delay_holds_in_both_directions() {
    let proxy = before_an_echo().await;
    let mut client = client_of(&proxy).await;
    is_echoed(&mut client, "before").await;
    proxy.set(Mode::Delay(A_WHILE));
    let asked_at = Instant::now();
    is_echoed(&mut client, "later").await;
    assert!(asked_at.elapsed() >= 2 * A_WHILE);
}

#[test]
fn a_proxy_stands_in_for_the_server_that_a_url_names() {
    let (proxy, url) = FaultProxy::before_url("postgres://user@127.0.0.1:5432/name");
    assert_eq!(url, format!("postgres://user@{}/name", proxy.address));
    let (proxy, url) = FaultProxy::before_url("redis://127.0.0.1:6379");
    assert_eq!(url, format!("redis://{}", proxy.address));
}
