use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::domain::id::SessionId;
use crate::http::body::Id;
use crate::http::gate::AdminSession;
use crate::http::problem::{Kind, Problem};
use crate::http::representation::SessionBody;
use crate::http::services::Services;

/// One session
#[utoipa::path(
    get, path = "/api/admin/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = SessionBody), (status = 404, description = "`not_found`")),
    security(("session" = ["admin"])),
)]
pub async fn get_session(
    admin: AdminSession,
    services: Data<Services>,
    Id(session): Id<SessionId>,
) -> Result<HttpResponse, Problem> {
    let session = services
        .sessions
        .find(session)
        .await?
        .ok_or(Kind::NotFound)?;
    Ok(HttpResponse::Ok().json(SessionBody::new(&session, admin.session().id)))
}
