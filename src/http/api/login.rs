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
use crate::http::problem::Problem;
use crate::http::representation::IdentityBody;
use crate::http::services::Services;

#[derive(Deserialize, ToSchema)]
#[schema(as = LogIn)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[schema(required, value_type = String, example = "ada@example.com")]
    email: Option<String>,
    #[schema(required, value_type = String, example = "correct horse battery staple")]
    password: Option<Zeroizing<String>>,
    #[serde(default)]
    remember_me: bool,
}

/// Log in
///
/// The session this browser had before is ended.
#[utoipa::path(
    post, path = "/api/login", tag = "account", request_body = Body,
    responses(
        (status = 200, body = IdentityBody, description = "With the session's cookie."),
        (status = 401, description = "`invalid_credentials`"),
        (status = 503, description = "`busy`"),
    ),
)]
pub async fn create_session(
    request: HttpRequest,
    services: Data<Services>,
    Json(body): Json<Body>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::default();
    let email = fields.parse("email", body.email.as_ref(), Email::parse);
    let password = fields.parse("password", body.password.as_deref(), Password::parse);
    let (Some(email), Some(password)) = (email, password) else {
        return Err(fields.into_problem());
    };
    let issued = services
        .accounts
        .log_in(LogIn {
            email,
            password,
            remember_me: body.remember_me,
            client: client_of(&request, &services),
            presented: Presented::of(&request),
        })
        .await?;
    carry_issued(&request, &services, &issued)?;
    Ok(HttpResponse::Ok().json(IdentityBody::from(&*issued.record)))
}
