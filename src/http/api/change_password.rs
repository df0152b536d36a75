use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::domain::password::{NewPassword, Owner, Password};
use crate::http::body::{Fields, Json};
use crate::http::carrier::carry_issued;
use crate::http::client::client_of;
use crate::http::device_cookie::device_of;
use crate::http::gate::CurrentSession;
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Deserialize, ToSchema)]
#[schema(as = PasswordChange)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[schema(required, value_type = String, example = "correct horse battery staple")]
    pub(in crate::http) current_password: Option<Zeroizing<String>>,
    #[schema(required, value_type = String, example = "a longer horse battery staple")]
    pub(in crate::http) new_password: Option<Zeroizing<String>>,
}

/// Change my password
///
/// Ends all my other sessions; this one goes on under a new cookie.
#[utoipa::path(
    post, path = "/api/password", tag = "account", request_body = Body,
    responses(
        (status = 204, description = "With the new session's cookie."),
        (status = 403, description = "`wrong_password`"),
        (status = 429, description = "`too_many_attempts`"),
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
    body.change(&request, &services, &current).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl Body {
    pub(in crate::http) async fn change(
        &self,
        request: &HttpRequest,
        services: &Services,
        current: &CurrentSession,
    ) -> Result<(), Problem> {
        let mut fields = Fields::default();
        let known = fields.parse(
            "current_password",
            self.current_password.as_deref(),
            Password::parse,
        );
        let user = current.record().user();
        let new = fields.parse("new_password", self.new_password.as_deref(), |text| {
            NewPassword::parse(text, &services.password_policy, Owner::from(&user))
        });
        let (Some(known), Some(new)) = (known, new) else {
            return Err(fields.into_problem());
        };
        let (by, client) = (current.record(), client_of(request, services));
        let device = device_of(request, services);
        let issued = services
            .accounts
            .change_password(by, known, new, client, device)
            .await?;
        carry_issued(request, services, &issued)
    }
}
