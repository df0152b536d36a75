//! What Gatelodge is shipped in: the image, the Compose file, the systemd unit and the
//! Kubernetes manifests. Each is held against what knows its form and against the
//! program's own configuration; the image and the unit are run for real. In a binary of
//! its own, since it needs root and what Debian packages.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the other tests stand on the rest of it"
)]
mod support;

mod agreement;
mod files;
mod form;
mod image;
mod machine;
mod tools;
mod unit;
