use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde::de::IgnoredAny;
use utoipa::IntoParams;

use crate::http::body::{NoBody, Query};
use crate::http::client::act_of;
use crate::http::gate::CurrentSession;
use crate::http::problem::{Kind, Problem};
use crate::http::representation::RevokedBody;
use crate::http::services::Services;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// Whether to end the one that asks as well.
    #[serde(default)]
    include_current: bool,
    /// Read by [`crate::http::effect`].
    #[serde(default, rename = "wait")]
    #[param(ignore)]
    _wait: IgnoredAny,
}

/// End all my other sessions
#[utoipa::path(
    delete, path = "/api/sessions", tag = "account", params(Parameters),
    responses((status = 200, body = RevokedBody)), security(("session" = [])),
)]
pub async fn revoke_sessions(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    Query(parameters): Query<Parameters>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    let (sessions, by) = (&services.sessions, current.record());
    let act = act_of(&request, &services, by.session.user_id);
    let revoked = if parameters.include_current {
        sessions.revoke_all(by.session.user_id, None, act).await?
    } else {
        let others = sessions.revoke_others(by, act).await?;
        others.ok_or(Kind::Unauthenticated)?
    };
    Ok(HttpResponse::Ok().json(RevokedBody { revoked }))
}
