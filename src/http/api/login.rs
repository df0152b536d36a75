use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::accounts::LogIn;
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::http::body::{Fields, Json};
use crate::http::carrier::{Presented, carry_issued};
use crate::http::client::client_of;
use crate::http::device_cookie::device_of;
use crate::http::problem::Problem;
use crate::http::representation::IdentityBody;
use crate::http::services::Services;
use crate::sessions::Issued;

#[derive(Deserialize, ToSchema)]
#[schema(as = LogIn)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[schema(required, value_type = String, example = "ada@example.com")]
    pub(in crate::http) email: Option<String>,
    #[schema(required, value_type = String, example = "correct horse battery staple")]
    pub(in crate::http) password: Option<Zeroizing<String>>,
    #[serde(default)]
    pub(in crate::http) remember_me: bool,
}

/// Log in
///
/// The session this browser had before is ended.
#[utoipa::path(
    post, path = "/api/login", tag = "account", request_body = Body,
    responses(
        (status = 200, body = IdentityBody, description = "With the session's cookie."),
        (status = 401, description = "`invalid_credentials`"),
        (status = 429, description = "`too_many_attempts`"),
        (status = 503, description = "`busy`"),
    ),
    security((), ("session" = [])),
)]
pub async fn create_session(
    request: HttpRequest,
    services: Data<Services>,
    Json(body): Json<Body>,
) -> Result<HttpResponse, Problem> {
    let issued = body.log_in(&request, &services).await?;
    Ok(HttpResponse::Ok().json(IdentityBody::from(&*issued.record)))
}

impl Body {
    pub(in crate::http) async fn log_in(
        &self,
        request: &HttpRequest,
        services: &Services,
    ) -> Result<Issued, Problem> {
        let mut fields = Fields::default();
        let email = fields.parse("email", self.email.as_ref(), Email::parse);
        let password = fields.parse("password", self.password.as_deref(), Password::parse);
        let (Some(email), Some(password)) = (email, password) else {
            return Err(fields.into_problem());
        };
        let log_in = LogIn {
            email,
            password,
            remember_me: self.remember_me,
            client: client_of(request, services),
            device: device_of(request, services),
            presented: Presented::of(request),
        };
        let issued = services.accounts.log_in(log_in).await?;
        carry_issued(request, services, &issued)?;
        Ok(issued)
    }
}
