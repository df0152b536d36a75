use actix_web::HttpResponse;

use crate::http::gate::CurrentSession;
use crate::http::representation::IdentityBody;

/// Who is logged in, and by which session
#[utoipa::path(
    get, path = "/api/sessions/whoami", tag = "account",
    responses((status = 200, body = IdentityBody)), security(("session" = [])),
)]
pub async fn get_current_session(current: CurrentSession) -> HttpResponse {
    HttpResponse::Ok().json(IdentityBody::from(current.record()))
}
