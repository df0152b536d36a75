//! Sessions you can revoke, as fast as a JWT.
pub mod domain;
