use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::domain::id::UserId;
use crate::http::body::Id;
use crate::http::gate::AdminSession;
use crate::http::problem::Problem;
use crate::http::representation::SessionsBody;
use crate::http::services::Services;

/// Where a user is logged in, newest first, a thousand at most
#[utoipa::path(
    get, path = "/api/admin/users/{id}/sessions", tag = "users",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = SessionsBody), (status = 404, description = "`not_found`")),
    security(("session" = ["admin"])),
)]
pub async fn list_user_sessions(
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
) -> Result<HttpResponse, Problem> {
    let user = services.accounts.user(user).await?;
    let sessions = services.sessions.list(user.id).await?;
    Ok(HttpResponse::Ok().json(SessionsBody::new(&sessions, admin.session().id)))
}
