//! A client that sends requests byte by byte, as no library would.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Request {
    pub method: &'static str,
    pub target: String,
    pub host: &'static str,
    /// Lines of the head, beside the first and the host.
    pub headers: Vec<String>,
    pub body: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Request {
    pub fn new(method: &'static str, target: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            host: "app.example.com",
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub fn header(mut self, line: impl Into<String>) -> Self {
        self.headers.push(line.into());
        self
    }

    fn head(&self) -> String {
        let Self {
            method,
            target,
            host,
            headers,
            body,
        } = self;
        let length = (!body.is_empty()).then(|| format!("Content-Length: {}", body.len()));
        let first = [
            format!("{method} {target} HTTP/1.1"),
            format!("Host: {host}"),
        ];
        let lines = first.iter().chain(headers).chain(&length);
        let lines = lines.map(String::as_str).collect::<Vec<_>>();
        lines.join("\r\n") + "\r\n\r\n"
    }

    /// The answer up to its end, or to the end of its head if it switches protocols.
    pub async fn send(&self, to: SocketAddr) -> Answer {
        let mut stream = TcpStream::connect(to).await.expect("a proxy");
        self.send_on(&mut stream).await
    }

    pub async fn send_on(&self, stream: &mut TcpStream) -> Answer {
        let request = self.head() + &self.body;
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it is sent");
        let answer = timeout(PATIENCE, receive(stream, self.method == "HEAD")).await;
        answer.unwrap_or_else(|_| panic!("no answer to {request:?}"))
    }
}

impl Answer {
    /// What a header says; `None` unless it is there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = headers(&self.head).filter(|(it, _)| it.eq_ignore_ascii_case(name));
        let values: Vec<_> = values.map(|(_, value)| value).collect();
        match values[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// What the app got, if it was asked.
    pub fn app_got(&self) -> Option<&str> {
        self.header("x-app").map(|_| self.body.as_str())
    }
}

/// Whatever comes back before the connection ends.
pub async fn send_bytes(to: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(to).await.expect("a proxy");
    stream
        .write_all(bytes.as_bytes())
        .await
        .expect("it is sent");
    let mut answers = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answers)).await;
    // A reset is an end as well.
    let _ = read.unwrap_or_else(|_| panic!("the connection does not end after {bytes:?}"));
    String::from_utf8_lossy(&answers).into_owned()
}

/// The headers of a head, by name and value.
pub fn headers(head: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = head
        .split("\r\n")
        .skip(1)
        .take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim()))
}

pub fn content_length(head: &str) -> usize {
    let mut headers = headers(head);
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.map_or(0, |(_, length)| length.parse().expect("a length"))
}

async fn receive(stream: &mut TcpStream, is_head: bool) -> Answer {
    let mut answer = Vec::new();
    loop {
        let read = stream.read_buf(&mut answer).await.unwrap_or(0);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = format!("{head}\r\n\r\n");
            let status = head
                .split(' ')
                .nth(1)
                .and_then(|it| it.parse().ok())
                .expect("a status");
            let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
            let is_whole = match status {
                101 | 204 | 304 => true,
                _ if is_head => true,
                _ if is_chunked => body.ends_with("0\r\n\r\n"),
                _ => body.len() >= content_length(&head),
            };
            if is_whole || read == 0 {
                return Answer {
                    status,
                    body: body.to_owned(),
                    head,
                };
            }
        }
        assert!(read > 0, "the connection ends in {answer:?}");
    }
}
