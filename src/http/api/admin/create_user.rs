use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::NewAccount;
use crate::domain::email::Email;
use crate::domain::user::{Role, UserName};
use crate::http::body::{Fields, Json};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::problem::Problem;
use crate::http::representation::{RoleName, UserView};
use crate::http::services::Services;

#[derive(Deserialize, ToSchema)]
#[schema(as = NewUser)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[schema(required, value_type = String, example = "ada@example.com")]
    email: Option<String>,
    #[schema(required, value_type = String, example = "Ada Lovelace")]
    name: Option<String>,
    #[schema(required = false, value_type = RoleName, default = "user")]
    role: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = InvitedUser)]
pub struct Answer<'a> {
    user: UserView<'a>,
    /// Sets the password, once, within an hour. For the user alone.
    #[schema(example = "https://auth.example.com/password?token=…")]
    password_link: String,
}

/// Invite a user
///
/// The user has no password until the link is used.
#[utoipa::path(
    post, path = "/api/admin/users", tag = "users", request_body = Body,
    responses((status = 201, body = Answer), (status = 409, description = "`email_taken`")),
    security(("session" = ["admin"])),
)]
pub async fn create_user(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Json(body): Json<Body>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::default();
    let email = fields.parse("email", body.email.as_ref(), Email::parse);
    let name = fields.parse("name", body.name.as_ref(), UserName::parse);
    let role = match &body.role {
        None => Some(Role::User),
        given => fields.parse("role", given.as_ref(), Role::parse),
    };
    let (Some(email), Some(name), Some(role)) = (email, name, role) else {
        return Err(fields.into_problem());
    };
    let act = act_of(&request, &services, admin.user().id);
    let account = NewAccount { email, name, role };
    let created = services.accounts.invite(account, act).await?;
    Ok(HttpResponse::Created().json(Answer {
        user: (&created.user).into(),
        password_link: services.links.password(&created.invitation.token),
    }))
}
