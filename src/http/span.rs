//! One span and one line of log per request, with no query, no cookie and no
//! body in it.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _};
use tracing::{Span, field};
use tracing_actix_web::{RequestId, RootSpanBuilder};

use super::client::address_of;
use super::services::Services;

pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let request_id = request.extensions().get::<RequestId>().copied();
        let client = request
            .app_data::<Data<Services>>()
            .and_then(|services| address_of(request.request(), services));
        tracing::info_span!(
            "request",
            request_id = request_id.map(field::display),
            method = %request.method(),
            path = request.path(),
            client = client.map(field::display),
            status = field::Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("status", status.as_u16());
        span.in_scope(|| tracing::info!("answered"));
    }
}
