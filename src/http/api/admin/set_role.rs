use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::id::UserId;
use crate::domain::user::Role;
use crate::http::body::{Fields, Id, Json};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::problem::Problem;
use crate::http::representation::{RoleName, UserBody};
use crate::http::services::Services;

#[derive(Deserialize, ToSchema)]
#[schema(as = NewRole)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[schema(required, value_type = RoleName)]
    role: Option<String>,
}

/// Set what a user may do
///
/// The user's sessions go on, and every instance knows within a second.
#[utoipa::path(
    put, path = "/api/admin/users/{id}/role", tag = "users",
    params(("id" = String, Path, format = Uuid)), request_body = Body,
    responses(
        (status = 200, body = UserBody),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`last_admin`"),
    ),
    security(("session" = ["admin"])),
)]
pub async fn set_role(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    Json(body): Json<Body>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::default();
    let Some(role) = fields.parse("role", body.role.as_ref(), Role::parse) else {
        return Err(fields.into_problem());
    };
    let act = act_of(&request, &services, admin.user().id);
    let user = services.accounts.set_role(user, role, act).await?;
    Ok(HttpResponse::Ok().json(UserBody::from(&user)))
}
