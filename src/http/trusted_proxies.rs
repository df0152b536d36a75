//! The proxies in front of us. Forwarding headers are believed only from them.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[derive(Clone)]
pub(super) struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    pub(super) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }

    /// Walks back from the peer, through what each trusted proxy says it heard
    /// from, to the first address that is not trusted.
    pub(super) fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut address = peer.to_canonical();
        let hops: Vec<&[u8]> = headers
            .get_all(X_FORWARDED_FOR)
            .flat_map(|header| header.as_bytes().split(|byte| *byte == b','))
            .collect();
        for hop in hops.into_iter().rev() {
            if !self.contains(address) {
                break;
            }
            match parse(hop) {
                Some(heard_from) => address = heard_from.to_canonical(),
                None => break,
            }
        }
        address
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn parse(hop: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(hop).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn address(proxies: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(proxies.iter().map(|net| net.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            let value = value.replace('?', "\u{ff}");
            headers.append(
                X_FORWARDED_FOR,
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        proxies
            .client_address(peer.parse().unwrap(), &headers)
            .to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(address(&[], "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(
            address(&["10.0.0.0/8"], "192.0.2.1", &["203.0.113.9"]),
            "192.0.2.1"
        );
    }

    #[test]
    fn the_walk_ends_at_the_first_address_that_is_not_trusted() {
        let proxies = &["10.0.0.0/8", "::1/128"];
        assert_eq!(
            address(
                proxies,
                "10.0.0.1",
                &["198.51.100.7, 203.0.113.9, 10.1.1.1"]
            ),
            "203.0.113.9"
        );
        assert_eq!(
            address(proxies, "::1", &["198.51.100.7", "10.0.0.2"]),
            "198.51.100.7"
        );
        assert_eq!(
            address(proxies, "::ffff:10.0.0.1", &["203.0.113.9"]),
            "203.0.113.9"
        );
    }

    #[test]
    fn what_is_no_address_ends_the_walk() {
        assert_eq!(
            address(&["10.0.0.0/8"], "10.0.0.1", &["203.0.113.9, junk"]),
            "10.0.0.1"
        );
        assert_eq!(address(&["10.0.0.0/8"], "10.0.0.1", &[]), "10.0.0.1");
        let hidden = ["? , 198.51.100.7"];
        assert_eq!(
            address(&["10.0.0.0/8"], "10.0.0.1", &hidden),
            "198.51.100.7"
        );
    }
}
