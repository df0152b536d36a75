use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::body::{Fields, Query, given};
use crate::http::gate::CurrentSession;
use crate::http::problem::Problem;
use crate::http::representation::WhoamiBody;
use crate::http::services::Services;

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// The name of one of `tokens.templates`: the answer then has a JWT of that kind.
    #[serde(deserialize_with = "given")]
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
    let (mint, record) = (&services.mint, current.record());
    let mut fields = Fields::default();
    let template = fields.optional("tokenize_as", tokenize_as.as_ref(), |name| {
        mint.template(name).ok_or("is not the name of a template")
    });
    fields.finish()?;
    let tokenized = template.map(|template| mint.mint(template, record, current.alive_at()));
    let tokenized = tokenized.transpose().map_err(Problem::internal)?;
    Ok(HttpResponse::Ok().json(WhoamiBody::new(record, tokenized.as_deref())))
}
