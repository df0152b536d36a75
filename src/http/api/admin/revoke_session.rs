use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::id::SessionId;
use crate::http::body::{Id, NoBody};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::problem::{Kind, Problem};
use crate::http::services::Services;
use crate::sessions::Revoked;

/// End one session, whosever it is
#[utoipa::path(
    delete, path = "/api/admin/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204), (status = 404, description = "`not_found`")),
    security(("session" = ["admin"])),
)]
pub async fn revoke_anyones_session(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(session): Id<SessionId>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    match services.sessions.revoke_anyones(session, act).await? {
        Revoked::Done => Ok(HttpResponse::NoContent().finish()),
        Revoked::NotFound => Err(Kind::NotFound.into()),
    }
}
