//! Logs: text on a terminal, one JSON object per line elsewhere.

use std::io::IsTerminal as _;
use std::panic::{self, PanicHookInfo};

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
    let format = log.format.unwrap_or_else(|| {
        if std::io::stderr().is_terminal() {
            Format::Text
        } else {
            Format::Json
        }
    });
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let _ = match format {
        Format::Text => registry.with(layer.with_target(false)).try_init(),
        Format::Json => registry
            .with(layer.json().flatten_event(true).with_span_list(false))
            .try_init(),
    };
    panic::set_hook(Box::new(report));
}

/// A line like any other, which says in which request it was.
fn report(panic: &PanicHookInfo) {
    tracing::error!(error = %panic, "a thread has panicked");
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::Mutex;

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_panic_is_one_line_of_the_log_with_its_request() {
        let (mut read, written) = std::io::pipe().unwrap();
        let written = Mutex::new(written);
        let layer = tracing_subscriber::fmt::layer().with_writer(written);
        let layer = layer.json().flatten_event(true).with_span_list(false);
        let registry = tracing_subscriber::registry().with(layer);
        let before = panic::take_hook();
        panic::set_hook(Box::new(report));
        tracing::subscriber::with_default(registry, || {
            let _span = tracing::info_span!("request", request_id = "of this one").entered();
            let panicked = panic::catch_unwind(|| panic!("as it\nmust"));
            assert!(panicked.is_err());
        });
        panic::set_hook(before);

        let mut log = String::new();
        read.read_to_string(&mut log).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 1, "{log}");
        let line: Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["span"]["request_id"], "of this one");
        let error = line["error"].as_str().unwrap();
        assert!(
            error.contains("src/telemetry.rs") && error.contains("as it\nmust"),
            "{error}"
        );
    }
}
