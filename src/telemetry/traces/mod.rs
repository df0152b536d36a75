//! Traces: spans of a request and of the steps it takes, for a collector of OpenTelemetry.
//!
//! A step is a span whose target is [`STEPS`]. It goes to traces alone, whatever the log's
//! level is; without a collector, nobody makes one. What is not done for a request, such
//! as the poll of the ledger, is traced by nobody.

mod export;
mod words;

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::DynFilterFn;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::{Layer as _, Registry};

use self::export::Exporter;
use self::words::Words;
use super::Listener;
use crate::config::Settings;
use crate::domain::id::InstanceId;

/// The target of spans that are for traces alone.
pub const STEPS: &str = "steps";

/// The name of a request's own span.
const REQUEST: &str = "request";

/// How long the end of the process waits for spans to be sent.
const LAST_EXPORT: Duration = Duration::from_secs(2);

/// Spans on their way to a collector.
pub struct Traces {
    exporter: Exporter,
}

impl Traces {
    /// Where to send them, and the listener that does so; none if there is no collector.
    pub(super) fn open(settings: &Settings) -> Option<(Self, Listener)> {
        let endpoint = settings.traces.endpoint.as_ref()?;
        let words = Words::of(settings.server.public_url.url());
        let (exporter, queue) = Exporter::open(endpoint, words);
        let ratio = Sampler::TraceIdRatioBased(settings.traces.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(ratio)))
            .with_span_processor(queue)
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("gatelodge"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(of_requests());
        Some((Self { exporter }, layer.boxed()))
    }

    /// Begins to send spans, as those of this instance. They wait until then.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn begin(&self, instance: InstanceId) -> std::io::Result<()> {
        self.exporter.begin(instance)
    }

    /// Sends what there is, if the collector takes it in time.
    pub fn end(self) {
        self.exporter.end(LAST_EXPORT);
    }
}

/// Goes on with the trace that a W3C `traceparent` names; says nothing if it names none.
pub fn go_on(span: &Span, traceparent: &str) {
    let named = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let parent = TraceContextPropagator::new().extract(&named);
    if parent.span().span_context().is_valid() {
        // It cannot be if nobody listens to traces.
        let _ = span.set_parent(parent);
    }
}

/// Spans of requests, and of steps on their behalf. No events: their texts are anybody's.
fn of_requests() -> impl Filter<Registry> + Send + Sync + 'static {
    DynFilterFn::new(|it: &Metadata<'_>, context: &Context<'_, Registry>| {
        is_request(it) || (is_step(it) && context.lookup_current().is_some())
    })
    .with_callsite_filter(|it| match it {
        it if is_request(it) => Interest::always(),
        it if is_step(it) => Interest::sometimes(),
        _ => Interest::never(),
    })
    .with_max_level_hint(Level::DEBUG)
}

fn is_request(it: &Metadata<'_>) -> bool {
    it.is_span() && it.name() == REQUEST && it.target().starts_with("gatelodge")
}

fn is_step(it: &Metadata<'_>) -> bool {
    it.is_span() && it.target() == STEPS
}
