use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::id::UserId;
use crate::domain::time::Timestamp;
use crate::http::body::{Id, NoBody};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Serialize, ToSchema)]
#[schema(as = PasswordLink)]
pub struct Answer {
    /// For the user alone.
    #[schema(example = "https://auth.example.com/password?token=…")]
    password_link: String,
    #[schema(value_type = String, format = DateTime, example = "2026-09-21T16:13:20.25Z")]
    expires_at: Timestamp,
}

/// Make a link by which a user sets a password
///
/// It works once, within an hour, in the place of any before, and not while the
/// account is locked. Using it ends the user's sessions.
#[utoipa::path(
    post, path = "/api/admin/users/{id}/password-link", tag = "users",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Answer), (status = 404, description = "`not_found`")),
    security(("session" = ["admin"])),
)]
pub async fn issue_password_link(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    let link = services.accounts.issue_password_link(user, act).await?;
    Ok(HttpResponse::Ok().json(Answer {
        password_link: services.links.password(&link.token),
        expires_at: link.expires_at,
    }))
}
