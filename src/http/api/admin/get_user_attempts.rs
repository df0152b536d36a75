use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::domain::id::UserId;
use crate::http::body::Id;
use crate::http::problem::Problem;
use crate::http::representation::AttemptsBody;
use crate::http::services::Services;

/// Wrong passwords at an account
///
/// In a row, and not counting those from browsers that had logged in to it before.
#[utoipa::path(
    get, path = "/api/admin/users/{id}/attempts", tag = "users",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = AttemptsBody), (status = 404, description = "`not_found`")),
    security(("session" = ["admin"])),
)]
pub async fn get_user_attempts(
    services: Data<Services>,
    Id(user): Id<UserId>,
) -> Result<HttpResponse, Problem> {
    let attempts = services.accounts.attempts_at(user).await?;
    Ok(HttpResponse::Ok().json(AttemptsBody::from(attempts)))
}
