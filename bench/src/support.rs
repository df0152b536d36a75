//! The tests' own servers.

#[path = "../../tests/support/servers.rs"]
#[expect(
    dead_code,
    clippy::expect_used,
    reason = "the tests stand on the rest of it, and may fail where they stand"
)]
pub mod servers;
#[path = "../../tests/support/waiting.rs"]
#[expect(dead_code, reason = "the tests wait for more")]
mod waiting;

pub use waiting::within;
