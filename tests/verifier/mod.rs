//! The verifier of JWTs, for services in Rust.

mod ends;
mod scene;
