use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::{Created, NewAccount};
use crate::domain::email::Email;
use crate::domain::user::{Role, UserName};
use crate::http::body::{Fields, Json, not_null};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::problem::Problem;
use crate::http::representation::{RoleName, UserView};
use crate::http::services::Services;

#[derive(Deserialize, ToSchema)]
#[schema(as = NewUser)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[schema(required, value_type = String, example = "grace@example.com")]
    pub(in crate::http) email: Option<String>,
    #[schema(required, value_type = String, example = "Grace Hopper")]
    pub(in crate::http) name: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required = false, value_type = RoleName, default = "user")]
    pub(in crate::http) role: Option<String>,
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
    let created = body.invite(&request, &services, &admin).await?;
    Ok(HttpResponse::Created().json(Answer {
        user: (&created.user).into(),
        password_link: services.links.password(&created.invitation.token),
    }))
}

impl Body {
    pub(in crate::http) async fn invite(
        &self,
        request: &HttpRequest,
        services: &Services,
        admin: &AdminSession,
    ) -> Result<Created, Problem> {
        let mut fields = Fields::default();
        let email = fields.parse("email", self.email.as_ref(), Email::parse);
        let name = fields.parse("name", self.name.as_ref(), UserName::parse);
        let role = match &self.role {
            None => Some(Role::User),
            given => fields.parse("role", given.as_ref(), Role::parse),
        };
        let (Some(email), Some(name), Some(role)) = (email, name, role) else {
            return Err(fields.into_problem());
        };
        let act = act_of(request, services, admin.user().id);
        let account = NewAccount { email, name, role };
        Ok(services.accounts.invite(account, act).await?)
    }
}
