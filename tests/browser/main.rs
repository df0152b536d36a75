//! The pages in a real browser. In a binary of its own, since it needs one.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod barriers;
mod client;
mod cors;
mod life;
mod returning;

#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the other tests stand on the rest of it"
)]
mod support;

use std::path::PathBuf;

use support::app::{Stack, TestApp};
use support::servers::{free_port, program};

/// An instance that browsers find at its public URL.
async fn site(stack: Stack, settings: &[(&str, &str)]) -> (TestApp, String) {
    let port = free_port();
    let (bind, origin) = (
        format!("127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
    );
    let mut all = vec![
        ("GATELODGE_SERVER__BIND", &*bind),
        ("GATELODGE_SERVER__PUBLIC_URL", &*origin),
    ];
    all.extend(settings);
    let app = TestApp::spawn_with(stack, &all).await;
    (app, origin)
}

fn npm() -> PathBuf {
    program(&["npm"], "npm", "put it into PATH")
}
