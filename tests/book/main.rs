//! The documentation: what leads where, that its commands do what it shows, and that the
//! apps of its recipes work. In a binary of its own, since it brings their packages.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod commands;
mod comparison;
mod links;
mod page;
mod recipes;
mod shell;

#[path = "../proxies"]
#[expect(dead_code, reason = "tests/proxies stands on the rest of it")]
mod proxies {
    pub mod binaries;
    pub mod client;
    pub mod proxy;
    pub mod scene;
    pub mod upstream;
}

#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the other tests stand on the rest of it"
)]
mod support;
