//! Replaces instances while they are used, and schemas while sessions live. In a binary
//! of its own, so that the other tests can be run without its patience:
//! `cargo test --test deploys`.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and one that measures says what"
)]

mod balancers;
mod drain;
mod fleet;
mod health;
mod load;
mod migrations;
mod rolling;
mod upgrades;

#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the other tests stand on the rest of it"
)]
mod support;
