//! The way to the collector: a queue that never makes anybody wait, and a thread that
//! sends what is in it (OTLP over HTTP, in protobuf). What there is no room for, and what
//! the collector does not take, is lost and counted.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message as _;
use ureq::Agent;
use url::Url;

use super::words::Words;
use crate::domain::id::InstanceId;

/// Spans that wait to be sent: a few MB.
const ROOM: usize = 4096;
/// Spans that are sent at once.
const BATCH: usize = 512;
/// How long a span waits for others.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the collector may take for one batch.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is said that spans are lost.
const REPORT: Duration = Duration::from_mins(1);

/// A span; or nothing, to have the thread look up.
type Item = Option<Box<SpanData>>;

/// Takes spans that have ended.
#[derive(Debug)]
pub(super) struct Queue {
    items: SyncSender<Item>,
    lost: Arc<AtomicU64>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.items.try_send(Some(Box::new(span))).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

pub(super) struct Exporter {
    items: SyncSender<Item>,
    is_over: Arc<AtomicBool>,
    /// Of a thread that has not begun.
    sender: Mutex<Option<Sender>>,
    /// Hears when the thread has ended.
    ended: Receiver<()>,
}

impl Exporter {
    pub(super) fn open(endpoint: &Url, words: Words) -> (Self, Queue) {
        let (items, queued) = sync_channel(ROOM);
        let (end, ended) = sync_channel(1);
        let (lost, is_over) = (Arc::default(), Arc::default());
        let queue = Queue {
            items: items.clone(),
            lost: Arc::clone(&lost),
        };
        let agent = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("gatelodge/", env!("CARGO_PKG_VERSION")))
            .build();
        let sender = Sender {
            agent: agent.new_agent(),
            place: format!("{}v1/traces", endpoint.as_str()),
            words,
            resource: ResourceAttributesWithSchema::default(),
            queued,
            lost,
            is_over: Arc::clone(&is_over),
            is_taken: true,
            reported_at: None,
            _end: end,
        };
        let exporter = Self {
            items,
            is_over,
            sender: Mutex::new(Some(sender)),
            ended,
        };
        (exporter, queue)
    }

    pub(super) fn begin(&self, instance: InstanceId) -> std::io::Result<()> {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut sender) = sender.take() {
            sender.resource = resource(instance);
            thread::Builder::new()
                .name("traces".to_owned())
                .spawn(move || sender.run())?;
        }
        Ok(())
    }

    pub(super) fn end(self, patience: Duration) {
        self.is_over.store(true, Ordering::Release);
        // If there is no room for it, there is enough to look at.
        let _ = self.items.try_send(None);
        if self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the last spans are lost: the collector does not answer");
        }
    }
}

fn resource(instance: InstanceId) -> ResourceAttributesWithSchema {
    let resource = Resource::builder_empty().with_attributes([
        KeyValue::new("service.name", "gatelodge"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance.to_string()),
    ]);
    (&resource.build()).into()
}

/// The thread's.
struct Sender {
    agent: Agent,
    place: String,
    words: Words,
    resource: ResourceAttributesWithSchema,
    queued: Receiver<Item>,
    lost: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    /// Whether the collector has taken the last batch.
    is_taken: bool,
    reported_at: Option<Instant>,
    /// Dropped when the thread ends.
    _end: SyncSender<()>,
}

impl Sender {
    fn run(mut self) {
        loop {
            let is_last = self.is_over.load(Ordering::Acquire);
            let batch = self.batch(if is_last { Duration::ZERO } else { INTERVAL });
            if is_last && batch.is_empty() {
                break;
            }
            self.send(batch);
        }
    }

    /// What comes within that time, or as much as is sent at once.
    fn batch(&self, time: Duration) -> Vec<SpanData> {
        let until = Instant::now() + time;
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let left = until.saturating_duration_since(Instant::now());
            match self.queued.recv_timeout(left) {
                Ok(Some(span)) => batch.push(self.words.put(*span)),
                Ok(None) | Err(_) => break,
            }
        }
        batch
    }

    fn send(&mut self, batch: Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let number = batch.len();
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
        };
        let sent = self
            .agent
            .post(&self.place)
            .content_type("application/x-protobuf")
            .send(&request.encode_to_vec()[..]);
        let was_taken = mem::replace(&mut self.is_taken, sent.is_ok());
        match sent {
            Err(error) => {
                self.lost.fetch_add(number as u64, Ordering::Relaxed);
                if was_taken {
                    tracing::warn!(%error, "the collector takes no traces");
                }
            }
            Ok(_) if !was_taken => tracing::info!("the collector takes traces again"),
            Ok(_) => {}
        }
        self.report();
    }

    /// Once in a while: a collector that is gone may be so for days.
    fn report(&mut self) {
        let is_due = self.reported_at.is_none_or(|at| at.elapsed() >= REPORT);
        if is_due && self.lost.load(Ordering::Relaxed) > 0 {
            let spans = self.lost.swap(0, Ordering::Relaxed);
            tracing::warn!(spans, "spans are lost");
            self.reported_at = Some(Instant::now());
        }
    }
}
