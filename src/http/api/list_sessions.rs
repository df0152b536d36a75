use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::http::gate::CurrentSession;
use crate::http::problem::Problem;
use crate::http::representation::{SessionBody, SessionsBody};
use crate::http::services::Services;

pub async fn list_sessions(
    current: CurrentSession,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let sessions = services.sessions.list(current.user().id).await?;
    let sessions = sessions
        .iter()
        .map(|session| SessionBody::new(session, current.session().id))
        .collect();
    Ok(HttpResponse::Ok().json(SessionsBody { sessions }))
}
