//! HTTP: the only module that knows actix. A handler takes what it needs from
//! the request, calls one service, and answers.

mod api;
mod authz;
mod bearer;
mod body;
mod carrier;
mod client;
mod connection;
mod cookie;
mod cors;
mod cross_site;
mod device_cookie;
mod edge;
mod effect;
mod ending;
mod feed;
mod gate;
mod headers;
mod inner_cookie;
mod kind;
mod links;
mod listing;
mod meter;
mod metrics;
mod openapi;
mod pages;
mod problem;
mod problems_page;
mod representation;
mod return_to;
mod routes;
mod server;
mod services;
mod span;
mod store;
mod trusted_proxies;

pub use ending::Ending;
pub use gate::{AdminSession, CurrentSession, Gate};
pub use links::Links;
pub use metrics::serve_metrics;
pub use openapi::openapi;
pub use problems_page::problems_page;
pub use representation::{EventView, SessionView, UserView};
pub use server::{Capacity, serve};
pub use services::Services;
pub use store::Store;
