use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::problem::{Kind, Problem};
use crate::http::services::Services;

#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
}

/// Whether the process runs
#[utoipa::path(
    get, path = "/health/alive", tag = "health",
    responses((status = 200, body = Health, example = json!({ "status": "alive" }))),
)]
pub async fn get_alive() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "alive" })
}

/// Whether requests should be sent here
///
/// The revocation view is believed: the ledger answers, or has done so within the
/// lease, or the grace while Redis proves that nobody else has ended any session. And the
/// instance has not been told to stop. No store is asked for this: it can be called as
/// often as one likes.
#[utoipa::path(
    get, path = "/health/ready", tag = "health",
    responses((status = 200, body = Health, example = json!({ "status": "ready" }))),
)]
pub async fn get_ready(services: Data<Services>) -> Result<HttpResponse, Problem> {
    if services.ending.is_announced() {
        Err(Kind::Draining.into())
    } else if services.sessions.is_ready() {
        Ok(HttpResponse::Ok().json(Health { status: "ready" }))
    } else {
        Err(Kind::StaleView.into())
    }
}
