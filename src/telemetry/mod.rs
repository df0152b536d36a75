//! What the service tells those who run it: lines of its log, spans of its requests, and
//! how much of everything there was.

pub mod logs;
pub mod metrics;
pub mod request;
pub mod traces;

use std::panic;

use tracing_subscriber::Layer;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Settings;
use traces::Traces;

/// One of those who hear what is told, with a filter of its own.
type Listener = Box<dyn Layer<Registry> + Send + Sync>;

/// Begins to log to standard error and, if there is a collector, to trace. Does nothing
/// if that has begun.
pub fn start(settings: &Settings) -> Option<Traces> {
    let (traces, layer) = Traces::open(settings).unzip();
    let listeners: Vec<Listener> = [logs::layer(&settings.log)]
        .into_iter()
        .chain(layer)
        .collect();
    let _ = tracing_subscriber::registry().with(listeners).try_init();
    panic::set_hook(Box::new(logs::report));
    traces
}
