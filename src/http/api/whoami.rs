use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::body::{Fields, Query, not_null};
use crate::http::gate::CurrentSession;
use crate::http::problem::Problem;
use crate::http::representation::WhoamiBody;
use crate::http::services::Services;

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// The name of one of `tokens.templates`: the answer then has a JWT of that kind.
    #[serde(deserialize_with = "not_null")]
    #[param(required = false, value_type = String)]
    tokenize_as: Option<String>,
}

/// Who is logged in, and by which session
#[utoipa::path(
    get, path = "/api/sessions/whoami", tag = "account", params(Parameters),
    responses((status = 200, body = WhoamiBody)), security(("session" = [])),
)]
pub async fn get_current_session(
    current: CurrentSession,
    services: Data<Services>,
    Query(Parameters { tokenize_as }): Query<Parameters>,
) -> Result<HttpResponse, Problem> {
    let mint = &services.mint;
    let mut fields = Fields::default();
    let template = fields.optional("tokenize_as", tokenize_as.as_ref(), |name| {
        mint.template(name).ok_or("is not the name of a template")
    });
    fields.finish()?;
    let tokenized = template
        .map(|template| mint.mint(template, current.record(), current.stood_at()))
        .transpose()
        .map_err(Problem::internal)?;
    let body = WhoamiBody::new(current.record(), tokenized.as_deref());
    Ok(HttpResponse::Ok().json(body))
}
