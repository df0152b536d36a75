use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::problem::{Kind, Problem};
use crate::http::services::Services;

#[derive(Serialize, ToSchema)]
struct Health {
    #[schema(example = "ready")]
    status: &'static str,
}

/// Whether the process runs
#[utoipa::path(
    get, path = "/health/alive", tag = "health", responses((status = 200, body = Health)),
)]
pub async fn get_alive() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "alive" })
}

/// Whether session checks are answered
///
/// The revocation view is believed: the ledger answers, or has done so within the
/// lease, or the grace while nobody else has ended any session.
#[utoipa::path(
    get, path = "/health/ready", tag = "health", responses((status = 200, body = Health)),
)]
pub async fn get_ready(services: Data<Services>) -> Result<HttpResponse, Problem> {
    if services.sessions.is_ready() {
        Ok(HttpResponse::Ok().json(Health { status: "ready" }))
    } else {
        Err(Kind::Unavailable.into())
    }
}
