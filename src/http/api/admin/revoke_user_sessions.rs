use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::id::UserId;
use crate::http::body::{Id, NoBody};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::problem::Problem;
use crate::http::representation::RevokedBody;
use crate::http::services::Services;

/// End all sessions of a user
#[utoipa::path(
    delete, path = "/api/admin/users/{id}/sessions", tag = "users",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = RevokedBody), (status = 404, description = "`not_found`")),
    security(("session" = ["admin"])),
)]
pub async fn revoke_user_sessions(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    let user = services.accounts.user(user).await?;
    let act = act_of(&request, &services, admin.user().id);
    let revoked = services.sessions.revoke_all(user.id, None, act).await?;
    Ok(HttpResponse::Ok().json(RevokedBody { revoked }))
}
