//! The documentation: what leads where, and that its commands do what it shows. In a
//! binary of its own, since it reads pages and runs shells, and the other tests do not.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod commands;
mod links;
mod page;
mod shell;

#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the other tests stand on the rest of it"
)]
mod support;
