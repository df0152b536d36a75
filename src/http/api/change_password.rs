use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::domain::password::{NewPassword, Password};
use crate::http::body::{Fields, Json};
use crate::http::carrier::carry_issued;
use crate::http::client::client_of;
use crate::http::gate::CurrentSession;
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Deserialize, ToSchema)]
#[schema(as = PasswordChange)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[schema(required, value_type = String, example = "correct horse battery staple")]
    current_password: Option<Zeroizing<String>>,
    #[schema(required, value_type = String, example = "a longer horse battery staple")]
    new_password: Option<Zeroizing<String>>,
}

/// Change my password
///
/// Ends all my other sessions; this one goes on under a new cookie.
#[utoipa::path(
    post, path = "/api/password", tag = "account", request_body = Body,
    responses(
        (status = 204, description = "With the new session's cookie."),
        (status = 403, description = "`wrong_password`"),
        (status = 503, description = "`busy`"),
    ),
    security(("session" = [])),
)]
pub async fn change_password(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    Json(body): Json<Body>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::default();
    let known = fields.parse(
        "current_password",
        body.current_password.as_deref(),
        Password::parse,
    );
    let new = fields.parse("new_password", body.new_password.as_deref(), |text| {
        NewPassword::parse(text, services.password_min_length)
    });
    let (Some(known), Some(new)) = (known, new) else {
        return Err(fields.into_problem());
    };
    let client = client_of(&request, &services);
    let issued = services
        .accounts
        .change_password(current.record(), known, new, client)
        .await?;
    carry_issued(&request, &services, &issued)?;
    Ok(HttpResponse::NoContent().finish())
}
