//! One span and one line of log per request, with its route and nothing else of what
//! the client wrote: secrets get into paths, too (ASVS 16.2.5). A check is asked at every
//! request of the apps behind this service, which have logs of their own: ours is for
//! whoever debugs, as is that of what browsers ask for with every page.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpRequest};
use tracing::{Level, Span, field};
use tracing_actix_web::RootSpanBuilder;

use super::client::{address_of, id_of, is_of_trusted_proxy};
use super::gate::CurrentSession;
use super::headers::X_REQUEST_ID;
use super::routes::{is_asset, is_check};
use super::services::Services;
use crate::domain::id::RequestId;
use crate::telemetry::request::Request;
use crate::telemetry::traces;

/// W3C Trace Context, 3.2.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

pub struct RequestSpan;

/// When the request came.
#[derive(Clone, Copy)]
struct Begun(Instant);

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        macro_rules! span {
            ($level:expr) => {
                // Looked up only if somebody listens.
                tracing::span!(
                    $level,
                    "request",
                    method = %request.method(),
                    route = request.match_pattern().map(field::display),
                    client = address_in(request).map(field::display),
                    request_id = id_of(request.request()).map(field::display),
                    status = field::Empty,
                    problem = field::Empty,
                    user = field::Empty,
                    session = field::Empty,
                    took_ms = field::Empty,
                )
            };
        }
        if let Some(id) = given_id(request)
            && is_believed(request)
        {
            request.extensions_mut().insert(id);
        }
        let span = if is_check(request.path()) || is_asset(request.path()) {
            span!(Level::DEBUG)
        } else {
            // There is no line that does not say of which request it is.
            span!(Level::ERROR)
        };
        if !span.is_disabled() {
            request.extensions_mut().insert(Begun(Instant::now()));
            if let Some(parent) = text(request, &TRACEPARENT)
                && is_believed(request)
            {
                traces::go_on(&span, parent);
            }
        }
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        if let Ok(response) = outcome {
            report(status, || {
                id_of(response.request()).filter(|_| !is_seen(&span))
            });
        }
        if span.is_disabled() {
            return;
        }
        span.record("status", status.as_u16());
        if let Ok(response) = outcome {
            let extensions = response.request().extensions();
            if let Some(current) = extensions.get::<CurrentSession>() {
                span.record("user", field::display(current.session().user_id));
                span.record("session", field::display(current.session().id));
            }
            if let Some(Begun(at)) = extensions.get() {
                let took = at.elapsed().as_secs_f64() * 1000.0;
                span.record("took_ms", (took * 1000.0).round() / 1000.0);
            }
        }
        span.in_scope(|| {
            if is_for_debugging(&span) {
                tracing::debug!("answered");
            } else {
                tracing::info!("answered");
            }
        });
    }
}

/// Whatever else a client sends along, it does not choose these.
fn is_believed(request: &ServiceRequest) -> bool {
    let services = request.app_data::<Data<Services>>();
    services.is_some_and(|services| is_of_trusted_proxy(request.request(), services))
}

/// Only a UUID is taken for one, as nginx, Caddy and Envoy make them.
fn given_id(request: &ServiceRequest) -> Option<RequestId> {
    text(request, &X_REQUEST_ID)?.parse().ok()
}

fn text<'a>(request: &'a ServiceRequest, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

fn is_for_debugging(span: &Span) -> bool {
    span.metadata()
        .is_some_and(|of| *of.level() == Level::DEBUG)
}

/// Whether the log shows the span with each of its lines: one for debugging it may leave
/// to who follows traces, or to nobody.
fn is_seen(span: &Span) -> bool {
    let is_debugging = || tracing::event_enabled!(Level::DEBUG);
    !span.is_disabled() && (!is_for_debugging(span) || is_debugging())
}

/// What lines and spans are to name, inside the request's span.
pub(super) fn named(request: &HttpRequest) -> Option<Request> {
    let (id, span) = (id_of(request)?, Span::current());
    let is_seen = is_seen(&span);
    Some(Request { id, span, is_seen })
}

/// A check that failed: whoever asked wants to know why. The span of any other request
/// says so itself.
pub(super) fn report(status: StatusCode, unseen: impl FnOnce() -> Option<RequestId>) {
    if status.is_server_error()
        && let Some(request_id) = unseen()
    {
        tracing::warn!(%request_id, status = status.as_u16(), "a request has failed");
    }
}

fn address_in(request: &ServiceRequest) -> Option<std::net::IpAddr> {
    let services = request.app_data::<Data<Services>>()?;
    address_of(request.request(), services)
}
