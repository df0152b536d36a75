//! Ranges of addresses.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// One address, or a range in CIDR notation (RFC 4632) that begins at its first
/// address. IPv4 addresses written as IPv6 are taken for what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    #[error("must be an address such as 203.0.113.9, or a range such as 203.0.113.0/24")]
    Malformed,
    #[error("is not where its range begins; that is {0}")]
    NotTheFirst(IpNet),
}

impl Network {
    /// # Errors
    /// Says what is wrong with `text`, in words fit for a user.
    pub fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address.to_canonical()),
            Err(_) => canonical(text.parse().map_err(|_| InvalidNetwork::Malformed)?),
        };
        if network.trunc() != network {
            return Err(InvalidNetwork::NotTheFirst(network.trunc()));
        }
        Ok(Self(network))
    }

    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.0.network()
    }

    #[must_use]
    pub fn last(&self) -> IpAddr {
        match self.0 {
            IpNet::V4(network) => network.broadcast().into(),
            IpNet::V6(network) => network.broadcast().into(),
        }
    }

    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

/// IPv4 for IPv4-mapped IPv6 (RFC 4291, 2.5.5.2).
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let mapped = v6
        .addr()
        .to_ipv4_mapped()
        .zip(v6.prefix_len().checked_sub(96));
    match mapped.map(|(address, length)| Ipv4Net::new(address, length)) {
        Some(Ok(v4)) => v4.into(),
        _ => network,
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first() == self.last() {
            self.first().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_a_range() {
        let one = Network::parse("203.0.113.9").unwrap();
        assert_eq!((one.first(), one.last()), (one.first(), one.first()));
        assert_eq!(Network::parse("::ffff:203.0.113.9"), Ok(one));
        let mapped = Network::parse("::ffff:203.0.113.0/120");
        assert_eq!(mapped, Network::parse("203.0.113.0/24"));
        let range = Network::parse("2001:db8::/32").unwrap();
        assert!(range.contains("2001:db8:ffff::1".parse().unwrap()));
        assert_eq!(
            range.last().to_string(),
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"
        );
        assert_eq!(range.to_string(), "2001:db8::/32");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "*",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0-10.0.0.9",
            "localhost",
        ] {
            assert_eq!(
                Network::parse(text),
                Err(InvalidNetwork::Malformed),
                "{text:?}"
            );
        }
        let wrong = Network::parse("10.1.2.3/8").unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "is not where its range begins; that is 10.0.0.0/8"
        );
    }
}
