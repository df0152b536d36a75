//! Where Redis is: what `redis.url` says.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates};
use url::Url;

use super::sentinels::Sentinels;

const SERVER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// A peer that has vanished is noticed after five seconds, whether or not it owes
/// us an answer.
#[cfg(target_os = "linux")]
const TCP_PATIENCE: Duration = Duration::from_secs(5);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(2);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);

pub(super) enum Address {
    Server(ConnectionInfo),
    Sentinel(Sentinels),
    Cluster(Cluster),
}

/// Some nodes of a cluster; they know the others.
pub(super) struct Cluster {
    pub(super) nodes: Vec<ConnectionInfo>,
    pub(super) certificates: Option<TlsCertificates>,
}

impl Address {
    pub(super) fn parse(url: &str, ca: Option<&[u8]>) -> anyhow::Result<Self> {
        let (scheme, place) = url.split_once("://").context("there is no scheme")?;
        let (transport, deployment) = scheme.split_once('+').unwrap_or((scheme, ""));
        ensure!(
            matches!(transport, "redis" | "rediss"),
            "the scheme is none of Redis"
        );
        ensure!(
            ca.is_none() || transport == "rediss",
            "a CA goes with TLS only: the scheme must begin with rediss"
        );
        let certificates = ca.map(|pem| TlsCertificates {
            client_tls: None,
            root_cert: Some(pem.to_vec()),
        });
        let entry = |authority: &str, path: &str, port| {
            let url = format!("{transport}://{authority}/{path}");
            server(&url, port, certificates.as_ref())
        };
        match deployment {
            "" => Ok(Self::Server(server(
                url,
                SERVER_PORT,
                certificates.as_ref(),
            )?)),
            "sentinel" => {
                let (authority, master) = place.split_once('/').unwrap_or((place, ""));
                ensure!(
                    !master.is_empty() && !master.contains(['/', '?', '#']),
                    "the name of the master is missing: \
                     redis+sentinel://host:port,host:port/master-name"
                );
                let (login, hosts) = split_login(authority);
                let sentinels = hosts.map(|host| entry(host, "", SENTINEL_PORT));
                Ok(Self::Sentinel(Sentinels {
                    places: sentinels.collect::<anyhow::Result<_>>()?,
                    master: master.to_owned(),
                    server: entry(&format!("{login}host"), "", SERVER_PORT)?,
                    certificates: certificates.clone(),
                }))
            }
            "cluster" => {
                let authority = place.strip_suffix('/').unwrap_or(place);
                ensure!(
                    !authority.contains(['/', '?', '#']),
                    "a cluster has no databases: redis+cluster://host:port,host:port"
                );
                let (login, hosts) = split_login(authority);
                let nodes = hosts.map(|host| entry(&format!("{login}{host}"), "", SERVER_PORT));
                Ok(Self::Cluster(Cluster {
                    nodes: nodes.collect::<anyhow::Result<_>>()?,
                    certificates: certificates.clone(),
                }))
            }
            _ => bail!("there is redis+sentinel and redis+cluster"),
        }
    }
}

/// `user:password@` and the hosts after it.
fn split_login(authority: &str) -> (&str, impl Iterator<Item = &str>) {
    let end = authority.rfind('@').map_or(0, |at| at + 1);
    let (login, hosts) = authority.split_at(end);
    (login, hosts.split(','))
}

/// The causes say what is wrong, and nothing of the URL, which may hold a password.
fn server(
    url: &str,
    default_port: u16,
    certificates: Option<&TlsCertificates>,
) -> anyhow::Result<ConnectionInfo> {
    let mut url = Url::parse(url).context("this is no URL")?;
    ensure!(url.has_host(), "a host is missing");
    ensure!(url.fragment().is_none(), "a # has no meaning here");
    if url.port().is_none() {
        let set = url.set_port(Some(default_port));
        ensure!(set.is_ok(), "a host is missing");
    }
    // Its own words would show what is wrong.
    let server = url
        .into_connection_info()
        .map_err(|_| anyhow::anyhow!("Redis' client does not take its path or its parameters"))?;
    trusting(server, certificates)
}

/// The same server, with our settings for TCP and TLS.
pub(super) fn trusting(
    server: ConnectionInfo,
    certificates: Option<&TlsCertificates>,
) -> anyhow::Result<ConnectionInfo> {
    let server = server.set_tcp_settings(tcp_settings());
    match certificates {
        Some(certificates) => {
            let client = Client::build_with_tls(server, certificates.clone())?;
            Ok(client.get_connection_info().clone())
        }
        None => Ok(server),
    }
}

/// The same server at another place.
pub(super) fn at(
    server: &ConnectionInfo,
    host: String,
    port: u16,
    certificates: Option<&TlsCertificates>,
) -> anyhow::Result<ConnectionInfo> {
    let address = match server.addr() {
        ConnectionAddr::TcpTls { insecure, .. } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: None,
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    trusting(server.clone().set_addr(address), certificates)
}

pub(super) fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(3);
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(TCP_PATIENCE);
    settings
}
