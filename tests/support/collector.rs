//! A collector of OpenTelemetry: takes traces by OTLP, over HTTP and in protobuf, and
//! keeps them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use actix_web::web::{Bytes, Data, PayloadConfig, post};
use actix_web::{App, HttpMessage as _, HttpRequest, HttpServer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;

pub type Attributes = BTreeMap<String, String>;

pub struct Collector {
    handle: actix_web::dev::ServerHandle,
    pub endpoint: String,
    taken: Data<Taken>,
}

#[derive(Default)]
struct Taken {
    bodies: Mutex<Vec<u8>>,
    spans: Mutex<Vec<Seen>>,
}

/// A span that has come.
#[derive(Clone, Debug)]
pub struct Seen {
    pub name: String,
    pub kind: SpanKind,
    pub trace: String,
    pub id: String,
    /// Empty if it has none.
    pub parent: String,
    pub attributes: Attributes,
    pub events: usize,
    pub is_error: bool,
    pub nanos: u64,
    /// Whose it is.
    pub resource: Attributes,
}

impl Collector {
    pub fn start() -> Self {
        Self::at(0)
    }

    pub fn at(port: u16) -> Self {
        let taken = Data::new(Taken::default());
        let keeps = taken.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(keeps.clone())
                .app_data(PayloadConfig::new(1 << 24))
                .route("/v1/traces", post().to(take))
        });
        let server = server.workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", port)).expect("a port");
        let endpoint = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self {
            handle,
            endpoint,
            taken,
        }
    }

    pub fn spans(&self) -> Vec<Seen> {
        let spans = self.taken.spans.lock();
        spans.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All that has come, as it came.
    pub fn bodies(&self) -> Vec<u8> {
        let bodies = self.taken.bodies.lock();
        bodies.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn take(taken: Data<Taken>, request: HttpRequest, body: Bytes) -> &'static str {
    assert_eq!(request.content_type(), "application/x-protobuf");
    let bodies = &mut taken.bodies.lock().unwrap_or_else(PoisonError::into_inner);
    bodies.extend_from_slice(&body);
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let mut spans = taken.spans.lock().unwrap_or_else(PoisonError::into_inner);
    for of_resource in request.resource_spans {
        let resource = attributes(of_resource.resource.expect("a resource").attributes);
        let scopes = of_resource.scope_spans.into_iter();
        spans.extend(
            scopes
                .flat_map(|scope| scope.spans)
                .map(|span| seen(span, &resource)),
        );
    }
    ""
}

fn seen(span: Span, resource: &Attributes) -> Seen {
    Seen {
        kind: span.kind(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        attributes: attributes(span.attributes),
        events: span.events.len(),
        is_error: span.status.is_some_and(|status| status.code == 2),
        nanos: span.end_time_unix_nano - span.start_time_unix_nano,
        name: span.name,
        resource: resource.clone(),
    }
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    let text = |pair: KeyValue| {
        let text = match pair.value?.value? {
            Value::StringValue(text) => text,
            Value::IntValue(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        Some((pair.key, text))
    };
    pairs.into_iter().filter_map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
