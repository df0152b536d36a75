//! One span and one line of log per request, with its route and nothing else of what
//! the client wrote: secrets get into paths, too (ASVS 16.2.5). A check is asked at every
//! request of the apps behind this service, which have logs of their own: ours is for
//! whoever debugs.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _};
use tracing::{Level, Span, field};
use tracing_actix_web::RootSpanBuilder;

use super::client::{address_of, id_of};
use super::gate::CurrentSession;
use super::routes::is_check;
use super::services::Services;
use crate::domain::id::RequestId;

pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        macro_rules! span {
            ($level:expr) => {
                // Looked up only if somebody listens.
                tracing::span!(
                    $level,
                    "request",
                    request_id = id_of(request.request()).map(field::display),
                    method = %request.method(),
                    route = request.match_pattern(),
                    client = address_in(request).map(field::display),
                    status = field::Empty,
                    problem = field::Empty,
                    user = field::Empty,
                    session = field::Empty,
                )
            };
        }
        if is_check(request.path()) {
            span!(Level::DEBUG)
        } else {
            span!(Level::INFO)
        }
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        if span.is_disabled() {
            if let Ok(response) = outcome {
                report(id_of(response.request()), status);
            }
            return;
        }
        span.record("status", status.as_u16());
        if let Ok(response) = outcome
            && let Some(current) = response.request().extensions().get::<CurrentSession>()
        {
            span.record("user", field::display(current.session().user_id));
            span.record("session", field::display(current.session().id));
        }
        let is_for_debugging = span
            .metadata()
            .is_some_and(|of| *of.level() == Level::DEBUG);
        span.in_scope(|| {
            if is_for_debugging {
                tracing::debug!("answered");
            } else {
                tracing::info!("answered");
            }
        });
    }
}

/// A check that failed: whoever asked wants to know why. The span of any other request
/// says so itself.
pub(super) fn report(request_id: Option<RequestId>, status: StatusCode) {
    if status.is_server_error() && Span::current().is_disabled() {
        let request_id = request_id.map(field::display);
        tracing::warn!(request_id, status = status.as_u16(), "a request has failed");
    }
}

fn address_in(request: &ServiceRequest) -> Option<std::net::IpAddr> {
    let services = request.app_data::<Data<Services>>()?;
    address_of(request.request(), services)
}
