//! `server.*`: where the service listens, and where browsers find it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::time::Duration;

use ipnet::IpNet;
use url::{Host, Url};

use super::origin::parse_origin;
use super::reader::Reader;
use super::values::{count, duration};

#[derive(Clone)]
pub struct Server {
    pub bind: SocketAddr,
    pub public_url: PublicUrl,
    pub workers: usize,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// How long the stop may take after SIGTERM.
    pub shutdown_grace: Duration,
}

impl Server {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            bind: from.value("server.bind", "127.0.0.1:8080", "Where to listen", |text| {
                text.parse()
                    .map_err(|_| "an address and a port such as 0.0.0.0:8080".to_owned())
            }),
            public_url: from.value(
                "server.public_url",
                "http://localhost:8080",
                "The origin under which browsers know this service; https:// but on localhost",
                PublicUrl::parse,
            ),
            workers: from
                .optional(
                    "server.workers",
                    "Threads that answer requests. Unset: as many as there are cores",
                    count,
                )
                .unwrap_or_else(cores),
            trusted_proxies: from.list(
                "server.trusted_proxies",
                "Addresses or ranges of proxies that are believed about where a request comes from, \
                 and that may ask whether one may pass",
                network,
            ),
            body_timeout: from.value(
                "server.body_timeout",
                "10s",
                "How long a client may take to send a request's body",
                duration,
            ),
            shutdown_grace: from.value(
                "server.shutdown_grace",
                "20s",
                "How long the stop may take after SIGTERM. With PostgreSQL, for a quarter of it the \
                 instance answers as before but is not ready, so that load balancers notice",
                duration,
            ),
        }
    }
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into()))
        .map_err(|_| "addresses or ranges such as 10.0.0.0/8".to_owned())
}

/// The origin under which browsers know the service: `https://host[:port]`, or
/// `http://` with a loopback host. It alone decides what the cookie is called
/// and which origins are our own.
#[derive(Clone, Debug)]
pub struct PublicUrl(Url);

impl PublicUrl {
    fn parse(text: &str) -> Result<Self, String> {
        let url = Self(parse_origin(text).ok_or_else(|| {
            "an origin such as https://auth.example.com, without a path".to_owned()
        })?);
        if !url.is_https() && !url.is_loopback() {
            return Err(
                "https://, since browsers send a session over plain http to anyone who listens: \
                 put a TLS proxy in front and name its https:// origin, or, to try it on this \
                 machine, http://localhost with a port"
                    .to_owned(),
            );
        }
        Ok(url)
    }

    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// As browsers write it in `Origin` (RFC 6454, 6.1).
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

/// Whether it leads to this machine and no other.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address == Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
        None => false,
    }
}
