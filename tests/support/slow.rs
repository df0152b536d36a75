//! What clients send that are slow on purpose.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub const WHOLE: &str = "GET /health/alive HTTP/1.1\r\nhost: localhost\r\n\r\n";
pub const BEGINNING: &str = "GET /health/alive HTTP/1.1\r\nhost: loc";
pub const BODY: &str = "POST /api/login HTTP/1.1\r\nhost: localhost\r\n\
    content-type: application/json\r\ncontent-length: 60000\r\n\r\n{";

pub async fn is_answered(socket: &mut TcpStream) {
    socket.write_all(WHOLE.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let read = socket.read_buf(&mut answer).await.unwrap();
        assert_ne!(read, 0, "the connection is open");
    }
}
