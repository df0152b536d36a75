use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::id::UserId;
use crate::http::body::{Id, NoBody};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::problem::Problem;
use crate::http::services::Services;

/// Delete a user, and end their sessions
///
/// What the audit log says of them stays.
#[utoipa::path(
    delete, path = "/api/admin/users/{id}", tag = "users", params(("id" = String, Path, format = Uuid)),
    responses(
        (status = 204),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`last_admin`"),
    ),
    security(("session" = ["admin"])),
)]
pub async fn delete_user(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    services.accounts.delete_user(user, act).await?;
    Ok(HttpResponse::NoContent().finish())
}
