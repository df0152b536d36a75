//! As much of HTTP/1.1 as a client needs that knows whom it talks to.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

const PATIENCE: Duration = Duration::from_secs(30);

/// Where an answer ends, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub status: u16,
    pub length: usize,
}

impl Frame {
    /// Of the answer that `bytes` begin with; `None` until all of it is there, or if
    /// it is none.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let status = bytes.get(9..12)?;
        let status = std::str::from_utf8(status).ok()?.parse().ok()?;
        let length = match header(&bytes[..head], b"content-length") {
            Some(length) => head + std::str::from_utf8(length).ok()?.parse::<usize>().ok()?,
            None if header(&bytes[..head], b"transfer-encoding").is_some() => {
                bytes.ends_with(b"0\r\n\r\n").then_some(bytes.len())?
            }
            None => head,
        };
        (bytes.len() >= length).then_some(Self { status, length })
    }
}

fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    headers(head, name).next()
}

fn headers<'a>(head: &'a [u8], name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    head.split(|byte| *byte == b'\n').filter_map(move |line| {
        let (start, value) = line.split_at_checked(name.len())?;
        let is_it = start.eq_ignore_ascii_case(name);
        let value = value.strip_prefix(b":").filter(|_| is_it)?;
        Some(value.trim_ascii())
    })
}

/// What every request to that server begins with; the same bytes for all of them,
/// but for the path. The cookie and an empty line follow.
pub fn get_up_to_cookie(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:8080\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0\r\n\
         Accept: application/json\r\nCookie: "
    )
    .into_bytes()
}

/// One connection, one request at a time.
pub struct Client(TcpStream);

pub struct Answer {
    pub status: u16,
    bytes: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("nobody listens at {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    pub fn get(&mut self, path: &str, cookie: &str) -> Result<Answer> {
        let mut request = get_up_to_cookie(path);
        request.extend_from_slice(cookie.as_bytes());
        request.extend_from_slice(b"\r\n\r\n");
        self.exchange(&request)
    }

    pub fn post(&mut self, path: &str, body: &serde_json::Value) -> Result<Answer> {
        let body = body.to_string();
        let about_body = "Content-Type: application/json\r\n";
        self.send("POST", path, about_body, &body)
    }

    /// With these headers, each of which ends its line.
    pub fn get_with(&mut self, headers: &str, path: &str) -> Result<Answer> {
        self.send("GET", path, headers, "")
    }

    /// As a browser that has these cookies, without a body.
    pub fn post_as(&mut self, cookies: &str, path: &str) -> Result<Answer> {
        self.send("POST", path, &format!("Cookie: {cookies}\r\n"), "")
    }

    fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Result<Answer> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:8080\r\nAccept: application/json\r\n\
             {headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.exchange(request.as_bytes())
    }

    fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.0.write_all(request)?;
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let count = self.0.read(&mut chunk).context("no answer")?;
            ensure!(count > 0, "the connection was closed before the answer");
            bytes.extend_from_slice(&chunk[..count]);
            if let Some(Frame { status, .. }) = Frame::of(&bytes) {
                return Ok(Answer { status, bytes });
            }
        }
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let value = header(&self.bytes, name.as_bytes())?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// With the head, as it came.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// The `Cookie` header that a browser would send there from now on.
    pub fn cookies(&self, path: &str) -> String {
        let set = headers(&self.bytes, b"set-cookie").map(String::from_utf8_lossy);
        let pairs = set.filter_map(|cookie| {
            let mut parts = cookie.split("; ");
            let pair = parts.next()?.to_owned();
            let sent_to = parts.find_map(|part| part.strip_prefix("Path="))?;
            path.starts_with(sent_to).then_some(pair)
        });
        pairs.collect::<Vec<_>>().join("; ")
    }

    /// How many bytes of it set cookies.
    pub fn length_of_cookies(&self) -> usize {
        let set = headers(&self.bytes, b"set-cookie");
        set.map(|cookie| "set-cookie: \r\n".len() + cookie.len())
            .sum()
    }
}
