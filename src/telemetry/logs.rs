//! Logs: text on a terminal, one JSON object per line elsewhere.

use std::fmt::{self, Debug};
use std::io::IsTerminal as _;
use std::panic::{self, PanicHookInfo};

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
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
        Format::Text => registry
            .with(layer.fmt_fields(one_line()).with_target(false))
            .try_init(),
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

/// Fields as text, in which nothing begins another line or steers a terminal (ASVS
/// 16.4.1). JSON escapes such characters by itself.
fn one_line() -> impl for<'writer> FormatFields<'writer> + 'static {
    debug_fn(write_field).delimited(" ")
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    match field.name() {
        "message" => {}
        // What a line of the `log` crate says of itself: it is in the line already.
        name if name.starts_with("log.") => return Ok(()),
        name => write!(writer, "{name}=")?,
    }
    for c in format!("{value:?}").chars() {
        if c.is_control() {
            write!(writer, "{}", c.escape_unicode())?;
        } else {
            writer.write_char(c)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read as _, Write};
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_of_text_whatever_is_in_it() {
        let page = Page::default();
        let written = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(one_line())
            .with_ansi(false)
            .with_writer(move || page.clone())
            .finish();
        let hostile =
            "a\r\n2026-01-01T00:00:00Z  INFO forged\x1b[2J\u{9b}31m\x07\"${jndi:ldap://x}";
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", text = hostile, shown = %hostile);
            let _inside = span.enter();
            tracing::info!(text = hostile, shown = %hostile, debugged = ?hostile, "said: {hostile}");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(char::is_control), "{line:?}");
        assert_eq!(line.matches("forged").count(), 6);
        assert!(line.contains("said: a\\u{d}\\u{a}2026"), "{line}");
    }

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
            error.contains("src/telemetry/logs.rs") && error.contains("as it\nmust"),
            "{error}"
        );
    }
}
