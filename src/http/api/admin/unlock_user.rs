use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::id::UserId;
use crate::domain::user::Status;
use crate::http::body::{Id, NoBody};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::problem::Problem;
use crate::http::representation::UserBody;
use crate::http::services::Services;

/// Unlock an account
///
/// Revives no session.
#[utoipa::path(
    post, path = "/api/admin/users/{id}/unlock", tag = "users",
    params(("id" = String, Path, format = Uuid)),
    responses(
        (status = 200, body = UserBody),
        (status = 404, description = "`not_found`"),
    ),
    security(("session" = ["admin"])),
)]
pub async fn unlock_user(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    let user = services
        .accounts
        .set_status(user, Status::Active, act)
        .await?;
    Ok(HttpResponse::Ok().json(UserBody::from(&user)))
}
