use std::net::IpAddr;

use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::http::body::Id;
use crate::http::problem::Problem;
use crate::http::representation::AttemptsBody;
use crate::http::services::Services;

/// Wrong passwords from an address
///
/// Of an IPv6 address, from its /64.
#[utoipa::path(
    get, path = "/api/admin/addresses/{ip}/attempts", tag = "users",
    params(("ip" = String, Path, description = "An IP address", example = "203.0.113.9")),
    responses((status = 200, body = AttemptsBody), (status = 404, description = "`not_found`")),
    security(("session" = ["admin"])),
)]
pub async fn get_address_attempts(
    services: Data<Services>,
    Id(address): Id<IpAddr>,
) -> Result<HttpResponse, Problem> {
    let attempts = services.accounts.attempts_from(address).await?;
    Ok(HttpResponse::Ok().json(AttemptsBody::from(attempts)))
}
