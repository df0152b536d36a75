//! Requests that two servers could read differently (RFC 9112, 6.3 and 11.2; ASVS 4.2.1).
//! What is refused is the end of its connection: whatever follows is no request.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Stack::Embedded;
use crate::support::TestApp;

const FOLLOWING: &str = "GET /health/alive HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// All that comes back, until the server ends the connection.
async fn answers_to(app: &TestApp, bytes: &[u8]) -> String {
    let exchange = async {
        let mut socket = TcpStream::connect(app.address).await?;
        socket.write_all(bytes).await?;
        let mut answers = Vec::new();
        // A reset, if it has been sent more than it has read.
        let _ = socket.read_to_end(&mut answers).await;
        std::io::Result::Ok(String::from_utf8_lossy(&answers).into_owned())
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), exchange).await;
    ended.expect("the connection ends").unwrap()
}

fn statuses_of(answers: &str) -> Vec<&str> {
    let each = answers.split("HTTP/1.1 ").skip(1);
    each.map(|answer| &answer[..3]).collect()
}

const CHUNKS: &str = "2\r\n{}\r\n0\r\n\r\n";

/// Bodies whose end could be in more than one place.
fn odd_lengths() -> Vec<(&'static str, String)> {
    let post = "POST /api/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let old = "POST /api/login HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let (te, end, chunks) = ("transfer-encoding: chunked\r\n", "\r\n", CHUNKS);
    vec![
        (
            "CL and TE",
            format!("{post}content-length: 2\r\n{te}{end}{chunks}"),
        ),
        (
            "TE and CL",
            format!("{post}{te}content-length: 12\r\n{end}{chunks}"),
        ),
        (
            "two CL",
            format!("{post}content-length: 2\r\ncontent-length: 2\r\n{end}{{}}"),
        ),
        (
            "two CL that differ",
            format!("{post}content-length: 0\r\ncontent-length: 2\r\n{end}{{}}"),
        ),
        (
            "CL in a list",
            format!("{post}content-length: 2, 2\r\n{end}{{}}"),
        ),
        (
            "a signed CL",
            format!("{post}content-length: +2\r\n{end}{{}}"),
        ),
        (
            "a negative CL",
            format!("{post}content-length: -2\r\n{end}{{}}"),
        ),
        (
            "a CL in hexadecimal",
            format!("{post}content-length: 0x2\r\n{end}{{}}"),
        ),
        (
            "a CL that overflows",
            format!("{post}content-length: 18446744073709551618\r\n{end}{{}}"),
        ),
        ("TE in HTTP/1.0", format!("{old}{te}{end}{chunks}")),
        (
            "TE and CL in HTTP/1.0",
            format!("{old}{te}content-length: 2\r\n{end}{{}}"),
        ),
        (
            "an unknown TE",
            format!("{post}transfer-encoding: xchunked\r\n{end}{chunks}"),
        ),
        ("two TE", format!("{post}{te}{te}{end}{chunks}")),
        (
            "two TE of which one is unknown",
            format!("{post}{te}transfer-encoding: x\r\n{end}{chunks}"),
        ),
        (
            "TE in a list",
            format!("{post}transfer-encoding: gzip, chunked\r\n{end}{chunks}"),
        ),
        (
            "TE that is not last",
            format!("{post}transfer-encoding: chunked, identity\r\n{end}{chunks}"),
        ),
        (
            "TE identity",
            format!("{post}transfer-encoding: identity\r\n{end}{chunks}"),
        ),
        (
            "TE with a vertical tab",
            format!("{post}transfer-encoding:\x0bchunked\r\n{end}{chunks}"),
        ),
    ]
}

/// Heads whose lines could be others.
fn odd_heads() -> Vec<(&'static str, String)> {
    let post = "POST /api/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let get = "GET /health/alive HTTP/1.1\r\nhost: localhost\r\n";
    let (end, chunks) = ("\r\n", CHUNKS);
    vec![
        (
            "a space before the colon",
            format!("{post}content-length : 2\r\n{end}{{}}"),
        ),
        ("a folded header", format!("{get}x-long: a\r\n b\r\n{end}")),
        (
            "a folded TE",
            format!("{post}transfer-encoding:\r\n chunked\r\n{end}{chunks}"),
        ),
        ("a header without a colon", format!("{get}x-long\r\n{end}")),
        ("a header without a name", format!("{get}: a\r\n{end}")),
        ("a NUL", format!("{get}x-odd: a\0b\r\n{end}")),
        ("a lone CR", format!("{get}x-odd: a\rb\r\n{end}")),
        ("two hosts", format!("{get}host: evil.test\r\n{end}")),
        ("no host", format!("GET /health/alive HTTP/1.1\r\n{end}")),
        (
            "no such version",
            format!("GET /health/alive HTTP/3.0\r\nhost: localhost\r\n{end}"),
        ),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        (
            "a space in the target",
            format!("GET /health /alive HTTP/1.1\r\nhost: localhost\r\n{end}"),
        ),
        ("TLS", "\x16\x03\x01\x02\0\x01\0".to_owned()),
    ]
}

async fn assert_refused_with_what_follows(app: &TestApp, what: &str, request: &str) {
    let bytes = format!("{request}{FOLLOWING}");
    let answers = answers_to(app, bytes.as_bytes()).await;
    assert!(answers.starts_with("HTTP/1.1 400 "), "{what}: {answers}");
    assert!(
        answers.contains("connection: close\r\n"),
        "{what}: {answers}"
    );
    let count = answers.matches("HTTP/1.1 ").count();
    assert_eq!(count, 1, "{what}: {answers}");
}

#[tokio::test]
async fn ambiguous_framing_is_refused_with_all_that_follows() {
    let app = TestApp::spawn(Embedded).await;
    for (what, request) in odd_lengths().into_iter().chain(odd_heads()) {
        assert_refused_with_what_follows(&app, what, &request).await;
    }
}

/// In the middle of a body it is too late for that status: ours says what is wrong.
#[tokio::test]
async fn chunks_that_are_none_are_refused_with_all_that_follows() {
    let app = TestApp::spawn(Embedded).await;
    let head = "POST /api/login HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    for (what, chunks) in [
        ("a size in decimal with a sign", "+2\r\n{}\r\n0\r\n\r\n"),
        ("a size with 0x", "0x2\r\n{}\r\n0\r\n\r\n"),
        (
            "a size that overflows",
            "10000000000000002\r\n{}\r\n0\r\n\r\n",
        ),
        ("no size", "\r\n{}\r\n0\r\n\r\n"),
        ("a bare LF after the size", "2\n{}\r\n0\r\n\r\n"),
        ("a bare LF in an extension", "2;a\n{}\r\n0\r\n\r\n"),
        ("a bare LF after the data", "2\r\n{}\n0\r\n\r\n"),
        ("more data than said", "2\r\n{} \r\n0\r\n\r\n"),
        ("a bare LF at the end", "2\r\n{}\r\n0\n\n"),
    ] {
        assert_refused_with_what_follows(&app, what, &format!("{head}{chunks}")).await;
    }
}

/// As RFC 9112, 2.2 leaves to the recipient, and the library that reads heads does. What
/// follows such a line is read by the same rule, and stays what it was.
#[tokio::test]
async fn a_lone_line_feed_ends_a_line_of_a_head_and_nothing_else() {
    let app = TestApp::spawn(Embedded).await;
    let last = FOLLOWING.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let head = "POST /api/login HTTP/1.1\nhost: localhost\ncontent-type: application/json\n";
    for (request, status) in [
        (format!("{head}content-length: 2\n\n{{}}"), "422"),
        (
            format!("{head}transfer-encoding: chunked\n\n2\r\n{{}}\r\n0\r\n\r\n"),
            "422",
        ),
    ] {
        let bytes = format!("{request}{last}");
        let answers = answers_to(&app, bytes.as_bytes()).await;
        let statuses = statuses_of(&answers);
        assert_eq!(statuses, [status, "200"], "{answers}");
    }
    let both = format!("{head}content-length: 2\ntransfer-encoding: chunked\n\n{{}}{last}");
    let answers = answers_to(&app, both.as_bytes()).await;
    assert_eq!(statuses_of(&answers), ["400"], "{answers}");
}

/// What is asked for one after the other is answered so, each with its own answer.
#[tokio::test]
async fn requests_in_a_row_are_answered_in_their_order() {
    let app = TestApp::spawn(Embedded).await;
    let post = |body: &str| {
        format!(
            "POST /api/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let last = FOLLOWING.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let login = post(r#"{"email":"nobody@example.com","password":"not a password"}"#);
    let requests = [
        (FOLLOWING.to_owned(), "200"),
        (login, "401"),
        (FOLLOWING.replace("/health/alive", "/nothing"), "404"),
        (post("{"), "400"),
        (FOLLOWING.replace("GET", "PUT"), "405"),
        (last, "200"),
    ];
    let bytes: String = requests
        .iter()
        .map(|(request, _)| request.as_str())
        .collect();
    let answers = answers_to(&app, bytes.as_bytes()).await;
    let expected = requests.each_ref().map(|(_, status)| *status);
    assert_eq!(statuses_of(&answers), expected, "{answers}");
}
