//! What can be seen in a configuration that is right, and may still not be meant.

use ipnet::IpNet;

use super::{Server, Settings};
use crate::domain::finding::Finding;

const PROXIES: &str = "server.trusted_proxies";
const ADDRESS: &str = "server.bind";

/// Of IPv4 and IPv6: what is shorter takes in much of the Internet.
const SHORTEST_PREFIXES: (u8, u8) = (8, 16);

impl Settings {
    /// How it would serve people.
    #[must_use]
    pub fn examine(&self) -> Vec<Finding> {
        vec![address(&self.server), proxies(&self.server)]
    }
}

fn address(server: &Server) -> Finding {
    let (bind, url) = (server.bind, server.public_url.origin());
    if bind.ip().is_loopback() && !server.public_url.is_loopback() {
        return Finding::warn(
            ADDRESS,
            format!("only this machine reaches {bind}, and browsers are to come to {url}"),
            "right if the proxy is on this machine; else bind an address that the proxy reaches, \
             such as 0.0.0.0:8080",
        );
    }
    Finding::ok(ADDRESS, format!("{bind}, for {url}"))
}

fn proxies(server: &Server) -> Finding {
    let trusted = &server.trusted_proxies;
    if let Some(network) = trusted.iter().find(|network| network.prefix_len() == 0) {
        return Finding::fail(
            PROXIES,
            format!("{network} is everybody: any client can say which address it comes from"),
            "name the addresses of the proxies, and no others",
        );
    }
    if let Some(network) = trusted.iter().find(|network| is_wide(network)) {
        return Finding::warn(
            PROXIES,
            format!("{network} is much of the Internet, and is believed about addresses"),
            "name the addresses of the proxies, and no others",
        );
    }
    if trusted.is_empty() && server.public_url.is_https() {
        return Finding::warn(
            PROXIES,
            "none, though https takes a proxy in front: all clients seem to come from it, and \
             wrong passwords of one are counted for all",
            "name the proxy's address",
        );
    }
    let names: Vec<_> = trusted.iter().map(ToString::to_string).collect();
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    Finding::ok(PROXIES, names)
}

fn is_wide(network: &IpNet) -> bool {
    let (ipv4, ipv6) = SHORTEST_PREFIXES;
    match network {
        IpNet::V4(network) => network.prefix_len() < ipv4,
        IpNet::V6(network) => network.prefix_len() < ipv6,
    }
}
