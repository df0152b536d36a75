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

/// Lock an account
///
/// Ends the user's sessions and their password link at once.
#[utoipa::path(
    post, path = "/api/admin/users/{id}/lock", tag = "users",
    params(("id" = String, Path, format = Uuid)),
    responses(
        (status = 200, body = UserBody),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`last_admin`"),
    ),
    security(("session" = ["admin"])),
)]
pub async fn lock_user(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    let user = services
        .accounts
        .set_status(user, Status::Locked, act)
        .await?;
    Ok(HttpResponse::Ok().json(UserBody::from(&user)))
}
