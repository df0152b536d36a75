//! Sessions you can revoke, as fast as a JWT.
pub mod accounts;
pub mod domain;
pub mod entropy;
pub mod sessions;
pub mod store;
