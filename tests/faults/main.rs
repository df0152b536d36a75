//! Breaks real things, and checks every answer that is given meanwhile. In a binary
//! of its own, so that the other tests can be run without its patience:
//! `cargo test --test faults`.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and one that measures says what"
)]

mod deployment;
mod failover;
mod instances;
mod ledger;
mod network;
mod oracle;
mod partitions;
mod redis;
mod revocation;
mod rotation;
mod scene;
mod slow;
mod standby;

#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the other tests stand on the rest of it"
)]
mod support;

/// How often a scenario repeats what it does: as often as is usual, or as many
/// times that as `GATELODGE_FAULT_ROUNDS` says, for a long run.
fn rounds(usual: usize) -> usize {
    let factor = std::env::var("GATELODGE_FAULT_ROUNDS").ok();
    usual * factor.map_or(1, |factor| factor.parse().expect("a number"))
}
