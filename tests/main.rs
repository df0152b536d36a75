//! Everything Gatelodge promises, tried from outside: over HTTP, on real
//! PostgreSQL, Redis and SQLite, and with the program itself. One binary, so
//! that the servers are started once.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod api;
mod architecture;
mod monitoring;
mod program;
mod protocol;
mod proxies;
mod store;
#[expect(dead_code, reason = "tests/faults stands on the rest of it")]
mod support;
mod verifier;
