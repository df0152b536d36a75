//! `metrics.*`: where the service tells how it does.

use std::net::SocketAddr;

use super::reader::Reader;

#[derive(Clone)]
pub struct Metrics {
    pub bind: Option<SocketAddr>,
}

impl Metrics {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            bind: from.optional(
                "metrics.bind",
                "Where GET /metrics is answered, for Prometheus alone: not an address that \
                 strangers reach. Unset: nowhere",
                |text| {
                    text.parse()
                        .map_err(|_| "an address and a port such as 127.0.0.1:9090".to_owned())
                },
            ),
        }
    }

    /// Whether it would take the place of what listens there.
    pub(super) fn collides_with(&self, server: SocketAddr) -> bool {
        self.bind.is_some_and(|bind| {
            let (own, other) = (bind.ip(), server.ip());
            let is_shared = own == other || own.is_unspecified() || other.is_unspecified();
            bind.port() != 0 && bind.port() == server.port() && is_shared
        })
    }
}
