//! `examples/websocket.rs`, and who is connected to it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use gatelodge::verifier::{Settings, Verifier};
use reqwest::{Client, RequestBuilder, Upgraded};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::scene::{PROMISED, is_ready, mint_as, settings, spawn};
use crate::support::Stack::Embedded;
use crate::support::TestApp;

#[path = "../../examples/websocket.rs"]
#[expect(dead_code, reason = "its main is not run")]
mod websocket;

struct Example(SocketAddr);

impl Example {
    async fn start(app: &TestApp) -> Self {
        let verifier = Verifier::connect(Settings {
            audience: "notes".to_owned(),
            ..settings(app.address)
        });
        let verifier = verifier.unwrap();
        is_ready(&verifier).await;
        let (address, server) = websocket::serve(verifier, "127.0.0.1:0").unwrap();
        tokio::spawn(server);
        Self(address)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        Client::new().get(format!("http://{}{path}", self.0))
    }

    fn upgrade(&self, protocols: &str) -> RequestBuilder {
        self.get("/socket")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", protocols)
    }

    async fn connect(&self, jwt: &str) -> Socket {
        let answer = self
            .upgrade(&format!("bearer, {jwt}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 101);
        assert_eq!(answer.headers()["sec-websocket-protocol"], "bearer");
        Socket(answer.upgrade().await.unwrap())
    }
}

/// What a server has sent (RFC 6455, 5.2).
#[derive(Debug, PartialEq, Eq)]
enum Frame {
    Text(String),
    Close(u16),
}

struct Socket(Upgraded);

impl Socket {
    /// Masked with zeros.
    async fn say(&mut self, text: &str) {
        let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
        frame.extend(text.bytes());
        self.0.write_all(&frame).await.unwrap();
    }

    /// What is longer than a short frame holds, again and again, and listens to no answer.
    async fn flood(&mut self) -> io::Result<Infallible> {
        let length = u16::MAX / 2;
        let mut frame = vec![0x81, 0xfe];
        frame.extend(length.to_be_bytes());
        frame.extend([0; 4]);
        frame.resize(frame.len() + usize::from(length), b'a');
        loop {
            self.0.write_all(&frame).await?;
        }
    }

    async fn hear(&mut self) -> Frame {
        let [kind, length] = [
            self.0.read_u8().await.unwrap(),
            self.0.read_u8().await.unwrap(),
        ];
        let mut payload = vec![0; usize::from(length)];
        self.0.read_exact(&mut payload).await.unwrap();
        match kind {
            0x81 => Frame::Text(String::from_utf8(payload).unwrap()),
            0x88 => Frame::Close(u16::from_be_bytes([payload[0], payload[1]])),
            _ => panic!("{kind:x}"),
        }
    }
}

#[tokio::test]
async fn a_websocket_and_a_stream_end_within_a_second_of_their_session() {
    let app = spawn(Embedded).await;
    let example = Example::start(&app).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut bob = app.registered("bob@example.com").await;
    let user = ada.user_id().await;
    let jwt = mint_as(&mut ada, "notes").await;
    let mut ended = example.connect(&jwt).await;
    let mut kept = example.connect(&mint_as(&mut bob, "notes").await).await;
    let stream = example
        .get("/events")
        .bearer_auth(&jwt)
        .send()
        .await
        .unwrap();
    let mut stream = stream.bytes_stream();
    let event = stream.next().await.unwrap().unwrap();
    assert_eq!(event, format!("data: Hello, {user}.\n\n"));
    ended.say("hello").await;
    assert_eq!(
        ended.hear().await,
        Frame::Text(format!("{user} says hello"))
    );

    let mut admin = app.admin().await;
    let path = format!("/api/admin/sessions/{}", ada.session_id().await);
    assert_eq!(admin.delete(&path).await.status, 204);
    let frame = timeout(PROMISED, ended.hear()).await;
    assert_eq!(frame.expect("in time"), Frame::Close(4001));
    let rest = async { while let Some(Ok(_)) = stream.next().await {} };
    timeout(PROMISED, rest).await.expect("in time");

    kept.say("still here").await;
    assert_eq!(
        kept.hear().await,
        Frame::Text(format!("{} says still here", bob.user_id().await))
    );
    for refused in [
        example.upgrade(&format!("bearer, {jwt}")),
        example.upgrade("bearer"),
        example.get("/events").bearer_auth(&jwt),
        example.get("/events"),
    ] {
        let answer = refused
            .timeout(Duration::from_secs(5))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    }
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_as_well() {
    let app = spawn(Embedded).await;
    let example = Example::start(&app).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut socket = example.connect(&mint_as(&mut ada, "notes").await).await;
    let mut flood = pin!(socket.flood());
    // Until all buffers are full.
    assert!(timeout(Duration::from_secs(2), &mut flood).await.is_err());

    assert_eq!(ada.log_out().await.status, 204);
    let cut_off = timeout(Duration::from_secs(10), flood).await;
    cut_off.expect("in time").unwrap_err();
}
