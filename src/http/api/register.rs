use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::accounts::Register;
use crate::domain::email::Email;
use crate::domain::password::{NewPassword, Owner};
use crate::domain::user::UserName;
use crate::http::body::{Fields, Json};
use crate::http::carrier::{Presented, carry_issued};
use crate::http::client::client_of;
use crate::http::problem::Problem;
use crate::http::representation::IdentityBody;
use crate::http::services::Services;
use crate::sessions::Issued;

#[derive(Deserialize, ToSchema)]
#[schema(as = Registration)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[schema(required, value_type = String, example = "ada@example.com")]
    pub(in crate::http) email: Option<String>,
    #[schema(required, value_type = String, example = "Ada Lovelace")]
    pub(in crate::http) name: Option<String>,
    #[schema(required, value_type = String, example = "correct horse battery staple")]
    pub(in crate::http) password: Option<Zeroizing<String>>,
}

/// Create an account, and log in
#[utoipa::path(
    post, path = "/api/register", tag = "account", request_body = Body,
    responses(
        (status = 201, body = IdentityBody, description = "With the session's cookie."),
        (status = 403, description = "`registration_closed`"),
        (status = 409, description = "`email_taken`"),
        (status = 503, description = "`busy`"),
    ),
    security((), ("session" = [])),
)]
pub async fn register_user(
    request: HttpRequest,
    services: Data<Services>,
    Json(body): Json<Body>,
) -> Result<HttpResponse, Problem> {
    let issued = body.register(&request, &services).await?;
    Ok(HttpResponse::Created().json(IdentityBody::from(&*issued.record)))
}

impl Body {
    pub(in crate::http) async fn register(
        &self,
        request: &HttpRequest,
        services: &Services,
    ) -> Result<Issued, Problem> {
        let mut fields = Fields::default();
        let email = fields.parse("email", self.email.as_ref(), Email::parse);
        let name = fields.parse("name", self.name.as_ref(), UserName::parse);
        let password = fields.parse("password", self.password.as_deref(), |text| {
            let owner = Owner {
                name: name.as_ref(),
                email: email.as_ref(),
            };
            NewPassword::parse(text, &services.password_policy, owner)
        });
        let (Some(email), Some(name), Some(password)) = (email, name, password) else {
            return Err(fields.into_problem());
        };
        let register = Register {
            email,
            name,
            password,
            client: client_of(request, services),
            presented: Presented::of(request),
        };
        let issued = services.accounts.register(register).await?;
        carry_issued(request, services, &issued)?;
        Ok(issued)
    }
}
