use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::http::body::Query;
use crate::http::client::address_of;
use crate::http::gate::CurrentSession;
use crate::http::problem::{Kind, Problem};
use crate::http::representation::RevokedBody;
use crate::http::services::Services;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    #[serde(default)]
    include_current: bool,
}

pub async fn revoke_sessions(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    Query(parameters): Query<Parameters>,
) -> Result<HttpResponse, Problem> {
    let (sessions, by) = (&services.sessions, current.record());
    let address = address_of(&request, &services);
    let revoked = if parameters.include_current {
        sessions.revoke_all(by, address).await?
    } else {
        let others = sessions.revoke_others(by, address).await?;
        others.ok_or(Kind::Unauthenticated)?
    };
    Ok(HttpResponse::Ok().json(RevokedBody { revoked }))
}
