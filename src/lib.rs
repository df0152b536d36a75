//! Sessions you can revoke, as fast as a JWT.
//!
//! As a program, Gatelodge is a session authentication service; as a library, it
//! protects the routes of any actix app: see [`Gate`], [`CurrentSession`] and
//! `examples/protected_app.rs`. [`verifier`] is for services that are given its JWTs.
//!
//! The names at the root, [`config::Settings`], [`telemetry::start`] and [`verifier`] are for other
//! crates, with what they lead to. What else the modules have may change with any version.
//!
//! The modules' imports point one way:
//!
//! ```text
//! main → cli → startup → http → accounts → sessions → store → domain
//! ```

pub mod accounts;
pub mod cli;
pub mod clocks;
pub mod config;
pub mod domain;
pub mod entropy;
mod feed;
pub mod http;
pub mod sessions;
pub mod startup;
pub mod store;
pub mod telemetry;
pub mod verifier;

pub use domain::id::{SessionId, UserId};
pub use domain::user::{Role, User};
pub use http::{AdminSession, CurrentSession, Gate, Services, Store};
pub use startup::{Application, connect};
