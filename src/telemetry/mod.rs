//! What the service tells those who run it.

pub mod logs;
pub mod metrics;
