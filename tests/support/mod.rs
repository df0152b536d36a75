//! What the tests stand on: servers of their own, instances, and browsers.

pub mod app;
pub mod browser;
pub mod certificates;
pub mod chromium;
pub mod collector;
pub mod feed;
pub mod foreign;
pub mod jwt;
pub mod postgres_proxy;
pub mod program;
pub mod proxy;
pub mod python;
pub mod redis_servers;
pub mod servers;
pub mod slow;
mod waiting;

pub use app::{Stack, TestApp};
pub use browser::{Answer, Browser};
pub use waiting::{eventually, within};
