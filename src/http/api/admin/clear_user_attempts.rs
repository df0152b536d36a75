use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::id::UserId;
use crate::http::body::{Id, NoBody};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::problem::Problem;
use crate::http::services::Services;

/// Forget wrong passwords at an account
///
/// Its user can try again at once, in all browsers.
#[utoipa::path(
    delete, path = "/api/admin/users/{id}/attempts", tag = "users",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204), (status = 404, description = "`not_found`")),
    security(("session" = ["admin"])),
)]
pub async fn clear_user_attempts(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    services.accounts.clear_attempts_at(user, act).await?;
    Ok(HttpResponse::NoContent().finish())
}
