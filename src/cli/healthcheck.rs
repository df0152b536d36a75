//! `gatelodge healthcheck`: for containers, which have nothing else to ask with.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::print::print;
use crate::config::Settings;

const TIMEOUT: Duration = Duration::from_secs(2);

/// More than an answer has.
const ENOUGH: u64 = 16 * 1024;

/// What is wrong, in a word.
#[derive(Deserialize)]
struct NotReady {
    code: String,
}

pub(super) fn run(settings: &Settings) -> anyhow::Result<()> {
    let address = reachable(settings.server.bind);
    let answer = ask(address).with_context(|| format!("nothing answers at {address}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.contains(" 200 ") {
        return print("ready");
    }
    match serde_json::from_str(body) {
        Ok(NotReady { code }) => bail!("not ready: {code}"),
        Err(_) => bail!("not ready: {status}"),
    }
}

/// Who listens on every address is asked on loopback.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

/// The whole answer.
fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(ENOUGH).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
