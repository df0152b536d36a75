//! The verifier of JWTs, for services in Rust.

mod ends;
mod example;
mod hostile;
mod keys;
mod network;
mod relay;
mod scene;
mod tls;
