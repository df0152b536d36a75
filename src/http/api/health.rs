use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;

use crate::http::problem::{Kind, Problem};
use crate::http::services::Services;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// The process runs.
pub async fn get_alive() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "alive" })
}

/// Session checks are answered: the revocation view is fresh, which takes a
/// ledger that answers.
pub async fn get_ready(services: Data<Services>) -> Result<HttpResponse, Problem> {
    if services.sessions.is_ready() {
        Ok(HttpResponse::Ok().json(Health { status: "ready" }))
    } else {
        Err(Kind::Unavailable.into())
    }
}
