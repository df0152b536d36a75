use std::net::IpAddr;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::body::{Id, NoBody};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::problem::Problem;
use crate::http::services::Services;

/// Forget wrong passwords from an address
///
/// Of an IPv6 address, from its /64. What was counted at accounts stays.
#[utoipa::path(
    delete, path = "/api/admin/addresses/{ip}/attempts", tag = "users",
    params(("ip" = String, Path, description = "An IP address", example = "203.0.113.9")),
    responses((status = 204), (status = 404, description = "`not_found`")),
    security(("session" = ["admin"])),
)]
pub async fn clear_address_attempts(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(address): Id<IpAddr>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    services.accounts.clear_attempts_from(address, act).await?;
    Ok(HttpResponse::NoContent().finish())
}
