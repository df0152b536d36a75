//! The contracts of the stores, each on every backend.

mod hot;
mod ledger;
mod redis;
mod redis_tls;
