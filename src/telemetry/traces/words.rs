//! What spans say, in the words of OpenTelemetry's semantic conventions; and that they say
//! nothing else.

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;
use url::Url;

use super::REQUEST;

/// The field of a span, and what collectors know it by. No other leaves this process.
const KNOWN: [(&str, &str); 13] = [
    ("method", METHOD),
    ("route", ROUTE),
    ("status", STATUS),
    ("problem", "gatelodge.problem"),
    ("client", "client.address"),
    ("user", "user.id"),
    ("session", "session.id"),
    ("request_id", "gatelodge.request_id"),
    ("db.system.name", "db.system.name"),
    ("db.operation.name", "db.operation.name"),
    ("db.operation.batch.size", "db.operation.batch.size"),
    ("error.type", "error.type"),
    (TOOK, TOOK),
];
const METHOD: &str = "http.request.method";
const ROUTE: &str = "http.route";
const STATUS: &str = "http.response.status_code";
const TOOK: &str = "took_ms";

/// What is the same for all requests.
#[derive(Clone)]
pub(super) struct Words(Vec<KeyValue>);

impl Words {
    pub(super) fn of(public_url: &Url) -> Self {
        let host = public_url.host_str().unwrap_or_default();
        Self(vec![
            KeyValue::new("url.scheme", public_url.scheme().to_owned()),
            KeyValue::new("server.address", host.to_owned()),
        ])
    }

    pub(super) fn put(&self, mut span: SpanData) -> SpanData {
        let known = |field: KeyValue| {
            let (_, word) = KNOWN.iter().find(|(name, _)| *name == field.key.as_str())?;
            Some(KeyValue::new(*word, field.value))
        };
        span.attributes = span.attributes.into_iter().filter_map(known).collect();
        if span.name == REQUEST {
            self.finish(&mut span);
        }
        span
    }

    fn finish(&self, span: &mut SpanData) {
        let of = |word: &str| {
            let found = span.attributes.iter().find(|it| it.key.as_str() == word);
            found.map(|it| it.value.clone())
        };
        let method = of(METHOD).unwrap_or_else(|| "HTTP".into());
        let name = match of(ROUTE) {
            Some(route) => format!("{method} {route}"),
            None => method.to_string(),
        };
        // What goes on afterwards keeps the span open.
        if let Some(Value::F64(took)) = of(TOOK)
            && let Ok(took) = std::time::Duration::try_from_secs_f64(took / 1000.0)
        {
            span.end_time = span.start_time + took;
        }
        if matches!(of(STATUS), Some(Value::I64(500..))) {
            span.status = Status::error("");
        }
        span.attributes.retain(|it| it.key.as_str() != TOOK);
        span.attributes.extend(self.0.iter().cloned());
        span.name = name.into();
        span.span_kind = SpanKind::Server;
    }
}
