//! Measures requests, by their routes.

use std::time::Instant;

use actix_web::Error;
use actix_web::dev::ServiceResponse;
use actix_web::http;

use crate::telemetry::metrics::{HTTP_DURATION, HTTP_REQUESTS, Method, Route, Status};

/// Runs while a request is answered. One whose client is gone is not counted.
#[must_use]
pub(super) struct Meter(Option<(Route, Method, Instant)>);

impl Meter {
    /// For when nobody wants to know.
    pub(super) const fn idle() -> Self {
        Self(None)
    }

    pub(super) fn start(route: Route, method: &http::Method) -> Self {
        Self(Some((route, kind_of(method), Instant::now())))
    }

    pub(super) fn stop(self, answered: &Result<ServiceResponse, Error>) {
        let Self(Some((route, method, started))) = self else {
            return;
        };
        let status = match answered {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        HTTP_REQUESTS.count((route, method, class_of(status)));
        HTTP_DURATION.observe((route, method), started.elapsed());
    }
}

fn kind_of(method: &http::Method) -> Method {
    match *method {
        http::Method::GET => Method::Get,
        http::Method::HEAD => Method::Head,
        http::Method::POST => Method::Post,
        http::Method::PUT => Method::Put,
        http::Method::PATCH => Method::Patch,
        http::Method::DELETE => Method::Delete,
        _ => Method::Other,
    }
}

fn class_of(status: http::StatusCode) -> Status {
    match status.as_u16() {
        ..300 => Status::Success,
        300..400 => Status::Redirect,
        400..500 => Status::ClientError,
        500.. => Status::ServerError,
    }
}
