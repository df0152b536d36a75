use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::http::gate::CurrentSession;
use crate::http::problem::Problem;
use crate::http::representation::SessionsBody;
use crate::http::services::Services;

/// Where I am logged in, newest first
#[utoipa::path(
    get, path = "/api/sessions", tag = "account",
    responses((status = 200, body = SessionsBody)), security(("session" = [])),
)]
pub async fn list_sessions(
    current: CurrentSession,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let sessions = services.sessions.list(current.user().id).await?;
    Ok(HttpResponse::Ok().json(SessionsBody::new(&sessions, current.session().id)))
}
