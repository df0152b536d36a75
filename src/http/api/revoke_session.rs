use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::id::SessionId;
use crate::http::body::{Id, NoBody};
use crate::http::client::act_of;
use crate::http::gate::CurrentSession;
use crate::http::problem::{Kind, Problem};
use crate::http::services::Services;
use crate::sessions::Revoked;

/// End one of my sessions
#[utoipa::path(
    delete, path = "/api/sessions/{id}", tag = "account",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204), (status = 404, description = "`not_found`")),
    security(("session" = [])),
)]
pub async fn revoke_session(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    Id(id): Id<SessionId>,
    _: NoBody,
) -> Result<HttpResponse, Problem> {
    let user = current.user().id;
    let act = act_of(&request, &services, user);
    let revoked = services.sessions.revoke(user, id, act).await?;
    match revoked {
        Revoked::Done => Ok(HttpResponse::NoContent().finish()),
        Revoked::NotFound => Err(Kind::NotFound.into()),
    }
}
