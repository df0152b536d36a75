use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::domain::id::UserId;
use crate::http::body::Id;
use crate::http::problem::Problem;
use crate::http::representation::UserBody;
use crate::http::services::Services;

/// One user
#[utoipa::path(
    get, path = "/api/admin/users/{id}", tag = "users", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = UserBody), (status = 404, description = "`not_found`")),
    security(("session" = ["admin"])),
)]
pub async fn get_user(
    services: Data<Services>,
    Id(user): Id<UserId>,
) -> Result<HttpResponse, Problem> {
    let user = services.accounts.user(user).await?;
    Ok(HttpResponse::Ok().json(UserBody::from(&user)))
}
