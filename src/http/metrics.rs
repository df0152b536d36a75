//! `GET /metrics`, on a listener and a thread of its own: never on the public port, and
//! not behind what holds for it. A scraper that hangs or comes too often has nothing but
//! this to hold up.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{Server, ServiceRequest};
use actix_web::http::header::{ALLOW, CONTENT_TYPE};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{Data, resource, route, to};
use actix_web::{App, HttpResponse, guard};

use super::edge::begin;
use super::ending::Ending;
use super::server::{Capacity, Place, answer};
use super::services::Services;
use crate::telemetry::metrics;

/// For as many connections as there are scrapers, and a few more.
const CAPACITY: Capacity = Capacity {
    workers: 1,
    connections: 32,
};

/// How long a reading may take: the ledger may be slow to say how many sessions there are.
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers until it is stopped.
///
/// # Errors
/// If the port cannot be listened on.
pub fn serve_metrics(listener: TcpListener, services: Services) -> io::Result<Server> {
    let place = Place {
        name: "metrics",
        listener,
        capacity: CAPACITY,
        ending: Ending::default(),
    };
    answer(place, move || {
        let read = guard::Any(guard::Get()).or(guard::Head());
        let metrics = resource("/metrics")
            .route(route().guard(read).to(get_metrics))
            .default_service(to(refuse));
        App::new()
            .app_data(Data::new(services.clone()))
            .service(metrics)
            .wrap(from_fn(
                async |request: ServiceRequest, next: Next<BoxBody>| {
                    let _under_way = begin(&request);
                    next.call(request).await
                },
            ))
    })
}

async fn get_metrics(services: Data<Services>) -> HttpResponse {
    let readings = async {
        let mut readings = services.sessions.readings().await;
        readings.extend(services.accounts.readings());
        readings.extend(services.feed.readings());
        readings
    };
    match tokio::time::timeout(PATIENCE, readings).await {
        Ok(readings) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE))
            .body(metrics::page(&readings)),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn refuse() -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((ALLOW, "GET, HEAD"))
        .finish()
}
