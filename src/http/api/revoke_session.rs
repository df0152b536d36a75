use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::id::SessionId;
use crate::http::client::address_of;
use crate::http::gate::CurrentSession;
use crate::http::problem::{Kind, Problem};
use crate::http::services::Services;
use crate::sessions::Revoked;

pub async fn revoke_session(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id: SessionId = id.parse().map_err(|_| Kind::NotFound)?;
    let address = address_of(&request, &services);
    let revoked = services
        .sessions
        .revoke(current.record(), id, address)
        .await?;
    match revoked {
        Revoked::Done => Ok(HttpResponse::NoContent().finish()),
        Revoked::NotFound => Err(Kind::NotFound.into()),
    }
}
