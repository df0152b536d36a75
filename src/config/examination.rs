//! What can be seen in a configuration that is right, and may still not be meant.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{Server, Settings};
use crate::domain::finding::Finding;

const PROXIES: &str = "server.trusted_proxies";
const ADDRESS: &str = "server.bind";

/// Of IPv4 and IPv6: what is shorter takes in much of the Internet.
const SHORTEST_PREFIXES: (u8, u8) = (8, 16);

/// Who encrypts the way to a store and knows its server, and who is to be made so.
type Tls = (fn(&str) -> bool, &'static str);

const LEDGER_TLS: Tls = (
    |url| parameter(url, &["sslmode", "ssl-mode"]).is_some_and(|mode| mode == "verify-full"),
    "add ?sslmode=verify-full to database.url",
);
const REDIS_TLS: Tls = (
    |url| url.starts_with("rediss"),
    "begin redis.url with rediss",
);

impl Settings {
    /// How it would serve people.
    #[must_use]
    pub fn examine(&self) -> Vec<Finding> {
        let mut findings = vec![self.server.examine_address(), proxies(&self.server)];
        if !self.database.is_sqlite() {
            findings.push(encryption("ledger: TLS", &self.database.url, LEDGER_TLS));
        }
        if let Some(url) = &self.redis.url {
            findings.push(encryption("redis: TLS", url, REDIS_TLS));
        }
        findings
    }
}

impl Server {
    /// Whether browsers come to where it listens, or a proxy that is named.
    #[must_use]
    pub fn examine_address(&self) -> Finding {
        let (bind, url) = (self.bind, self.public_url.origin());
        let is_local = self.public_url.is_loopback();
        if self.trusts_this_machine() {
            return Finding::ok(ADDRESS, format!("{bind}, for a proxy of {url}"));
        }
        if bind.ip().is_loopback() && !is_local {
            return Finding::warn(
                ADDRESS,
                format!("only this machine reaches {bind}, and browsers are to come to {url}"),
                "if the proxy is on this machine, name it in server.trusted_proxies; else bind \
                 an address that the proxy reaches, such as 0.0.0.0:8080",
            );
        }
        // Port 0 is one of the system's choice.
        let port = self.public_url.url().port_or_known_default();
        if is_local && bind.port() != 0 && port != Some(bind.port()) {
            return Finding::warn(
                ADDRESS,
                format!("it listens on {bind}, and browsers and links are to come to {url}"),
                "give server.public_url the same port, unless something passes on what comes there",
            );
        }
        Finding::ok(ADDRESS, format!("{bind}, for {url}"))
    }

    /// Whether a proxy on this machine is believed.
    fn trusts_this_machine(&self) -> bool {
        let this_machine = [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ];
        let mut trusted = self.trusted_proxies.iter();
        trusted.any(|network| this_machine.iter().any(|address| network.contains(address)))
    }
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

/// Whether nobody on the way to a store reads along, or stands in for it.
fn encryption(about: &'static str, url: &str, (is_encrypted, mend): Tls) -> Finding {
    if is_encrypted(url) {
        return Finding::ok(about, "the server must show its certificate");
    }
    let named = parameter(url, &["host", "hostaddr"]);
    let is_local = named.map_or_else(
        || hosts(url).all(is_this_machine),
        |host| host.starts_with('/') || is_this_machine(&host),
    );
    if is_local {
        return Finding::ok(about, "none; it is on this machine");
    }
    Finding::warn(
        about,
        "none, or with anybody: who is on the way can read along and answer",
        format!("{mend}, unless nobody else is on that network"),
    )
}

/// Those between the login and the path.
fn hosts(url: &str) -> impl Iterator<Item = &str> {
    let (_, place) = url.split_once("://").unwrap_or_default();
    let authority = place.split(['/', '?']).next().unwrap_or_default();
    let (_, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    hosts.split(',')
}

/// The last value of the query under one of these names: it is the one that counts.
fn parameter(url: &str, names: &[&str]) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let of_them = pairs.filter(|(name, _)| names.contains(&name.as_ref()));
    of_them.last().map(|(_, value)| value.into_owned())
}

fn is_this_machine(host: &str) -> bool {
    let this = ["127.", "localhost", "[::1]"];
    host.is_empty() || this.iter().any(|name| host.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::State::{Ok, Warn};

    #[test]
    fn a_way_that_others_can_be_on_is_encrypted() {
        let ledger = |url| encryption("", url, LEDGER_TLS).state;
        let redis = |url| encryption("", url, REDIS_TLS).state;
        assert_eq!(ledger("postgres://u:p@db.example.com/x"), Warn);
        assert_eq!(
            ledger("postgres://u:p@db.example.com/x?sslmode=require"),
            Warn
        );
        assert_eq!(
            ledger("postgres://u:p@db.example.com/x?sslmode=verify-full"),
            Ok
        );
        assert_eq!(ledger("postgres://u:p@localhost:5432/x"), Ok);
        assert_eq!(ledger("postgres:///x?host=/run/postgresql"), Ok);
        assert_eq!(ledger("postgres:///x?host=10.0.0.5"), Warn);
        assert_eq!(ledger("postgres://localhost/x?hostaddr=10.0.0.5"), Warn);
        assert_eq!(
            ledger("postgres://u:sslmode=verify-full@10.0.0.1/x?sslmode=prefer"),
            Warn
        );
        assert_eq!(ledger("postgres://u:127.0.0.1@10.0.0.1/x"), Warn);
        assert_eq!(redis("redis://127.0.0.1"), Ok);
        assert_eq!(redis("redis://redisserver:6379"), Warn);
        assert_eq!(redis("redis+sentinel://localhost,10.0.0.1/master"), Warn);
        assert_eq!(redis("rediss+cluster://10.0.0.1"), Ok);
    }
}
