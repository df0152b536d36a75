use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::domain::password::Password;
use crate::http::body::{Fields, Json};
use crate::http::carrier::carry_ended;
use crate::http::client::source_of;
use crate::http::device_cookie::device_of;
use crate::http::gate::CurrentSession;
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Deserialize, ToSchema)]
#[schema(as = AccountDeletion)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[schema(required, value_type = String, example = "correct horse battery staple")]
    pub(in crate::http) password: Option<Zeroizing<String>>,
}

/// Delete my account
#[utoipa::path(
    delete, path = "/api/account", tag = "account", request_body = Body,
    responses(
        (status = 204, description = "The cookie is removed."),
        (status = 403, description = "`wrong_password`"),
        (status = 409, description = "`last_admin`"),
        (status = 429, description = "`too_many_attempts`"),
        (status = 503, description = "`busy`"),
    ),
    security(("session" = [])),
)]
pub async fn delete_account(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    Json(body): Json<Body>,
) -> Result<HttpResponse, Problem> {
    body.delete(&request, &services, &current).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl Body {
    pub(in crate::http) async fn delete(
        &self,
        request: &HttpRequest,
        services: &Services,
        current: &CurrentSession,
    ) -> Result<(), Problem> {
        let mut fields = Fields::default();
        let password = fields.parse("password", self.password.as_deref(), Password::parse);
        let Some(password) = password else {
            return Err(fields.into_problem());
        };
        let (by, source) = (current.record(), source_of(request, services));
        let device = device_of(request, services);
        services
            .accounts
            .delete_account(by, password, device, source)
            .await?;
        carry_ended(request);
        Ok(())
    }
}
