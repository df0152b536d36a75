//! Logs: text on a terminal, one JSON object per line elsewhere.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Format, Log};

/// Begins to log to standard error. Does nothing if logging has begun.
pub fn start(log: &Log) {
    // actix speaks of its workers, and of every scanner that sends no HTTP;
    // whoever wants to hear it names it in the filter.
    let filter = format!("actix_server=warn,actix_http=off,{}", log.level);
    let filter = EnvFilter::try_new(filter).unwrap_or_default();
    let is_terminal = std::io::stderr().is_terminal();
    let format = log.format.unwrap_or({
        if is_terminal {
            Format::Text
        } else {
            Format::Json
        }
    });
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr);
    let _ = match format {
        Format::Text => registry.with(layer.with_target(false)).try_init(),
        Format::Json => registry
            .with(layer.json().flatten_event(true).with_span_list(false))
            .try_init(),
    };
}
