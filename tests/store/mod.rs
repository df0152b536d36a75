//! The contracts of the stores, each on every backend.

mod hot;
mod ledger;
