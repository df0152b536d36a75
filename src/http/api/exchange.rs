use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::accounts::Exchange;
use crate::http::body::{Fields, Json};
use crate::http::carrier::{Presented, carry_issued};
use crate::http::client::client_of;
use crate::http::problem::Problem;
use crate::http::representation::IdentityBody;
use crate::http::services::Services;

#[derive(Deserialize, ToSchema)]
#[schema(as = Exchange)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// Of the system that `exchange.issuer` names. It is used up by that.
    #[schema(required, value_type = String, example = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUifQ.…")]
    jwt: Option<Zeroizing<String>>,
    #[serde(default)]
    remember_me: bool,
}

/// Log in with another system's JWT
///
/// Once with each. The session this browser had before is ended. Not there unless
/// `exchange.issuer` is configured.
#[utoipa::path(
    post, path = "/api/sessions/exchange", tag = "account", request_body = Body,
    responses(
        (status = 200, body = IdentityBody, description = "With the session's cookie."),
        (status = 401, description = "`invalid_token`"),
        (status = 404, description = "`not_found`"),
    ),
    security((), ("session" = [])),
)]
pub async fn exchange_jwt(
    request: HttpRequest,
    services: Data<Services>,
    Json(Body { jwt, remember_me }): Json<Body>,
) -> Result<HttpResponse, Problem> {
    let Some(jwt) = jwt else {
        let mut fields = Fields::default();
        fields.refuse("jwt", "is missing");
        return Err(fields.into_problem());
    };
    let exchange = Exchange {
        jwt,
        remember_me,
        client: client_of(&request, &services),
        presented: Presented::of(&request),
    };
    let issued = services.accounts.exchange(exchange).await?;
    carry_issued(&request, &services, &issued)?;
    Ok(HttpResponse::Ok().json(IdentityBody::from(&*issued.record)))
}
