//! Logs: text on a terminal, one JSON object per line elsewhere.

use std::fmt::{self, Debug};
use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;

use tracing::field::Field;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::Listener;
use super::traces::STEPS;
use crate::config::{Format, Log};

/// Lines on standard error.
pub(super) fn layer(log: &Log) -> Listener {
    // actix speaks of its workers, and of every scanner that sends no HTTP; PostgreSQL of
    // each table that is there; ureq of each batch of spans. Whoever wants to hear it names it in the filter. Steps are for
    // traces alone: a line's span is the request.
    let filter = format!(
        "actix_server=warn,actix_http=off,sqlx::postgres::notice=warn,ureq=warn,ureq_proto=warn,\
         {},{STEPS}=off",
        log.level
    );
    let filter = EnvFilter::try_new(filter).unwrap_or_default();
    let is_terminal = std::io::stderr().is_terminal();
    let format = log.format.unwrap_or({
        if is_terminal {
            Format::Text
        } else {
            Format::Json
        }
    });
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr);
    match format {
        Format::Text => {
            let line = Line {
                time: if is_terminal {
                    Time::OfDay
                } else {
                    Time::Whole
                },
            };
            let layer = layer.fmt_fields(one_line()).event_format(line);
            layer.with_filter(filter).boxed()
        }
        Format::Json => {
            let layer = layer.json().flatten_event(true).with_span_list(false);
            layer.with_filter(filter).boxed()
        }
    }
}

/// A line like any other, which says in which request it was.
pub(super) fn report(panic: &PanicHookInfo) {
    tracing::error!(error = %panic, "a thread has panicked");
}

/// An event as people read it: when, how bad, what; and dimmed, of which request.
struct Line {
    time: Time,
}

#[derive(Clone, Copy)]
enum Time {
    Whole,
    /// For who sits before it.
    OfDay,
}

impl<S, F> FormatEvent<S, F> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, F>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut now = String::new();
        SystemTime.format_time(&mut Writer::new(&mut now))?;
        let now = match self.time {
            Time::Whole => &now,
            Time::OfDay => now.get(11..23).unwrap_or(&now),
        };
        let level = event.metadata().level();
        let colour = match *level {
            Level::ERROR => "31",
            Level::WARN => "33",
            Level::INFO => "32",
            Level::DEBUG => "34",
            Level::TRACE => "35",
        };
        painted(&mut writer, DIM, now)?;
        writer.write_char(' ')?;
        painted(&mut writer, colour, &format!("{level:>5}"))?;
        writer.write_char(' ')?;
        context.format_fields(writer.by_ref(), event)?;
        for span in context.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<F>>() {
                writer.write_str("  ")?;
                painted(&mut writer, DIM, &fields.fields)?;
            }
        }
        writeln!(writer)
    }
}

const DIM: &str = "2";

/// In a colour or shade (ECMA-48, SGR), if there is somebody to see it.
fn painted(writer: &mut Writer<'_>, how: &str, text: &str) -> fmt::Result {
    if writer.has_ansi_escapes() {
        write!(writer, "\x1b[{how}m{text}\x1b[0m")
    } else {
        writer.write_str(text)
    }
}

/// Fields as text, in which nothing begins another line or steers a terminal (ASVS
/// 16.4.1). JSON escapes such characters by itself.
fn one_line() -> impl for<'writer> FormatFields<'writer> + 'static {
    debug_fn(write_field).delimited(" ")
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    match field.name() {
        // What these are, one sees.
        "message" | "method" | "route" => {}
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
    use std::panic;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt as _;

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
            .with_ansi(false)
            .fmt_fields(one_line())
            .event_format(Line { time: Time::Whole })
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
