use actix_web::HttpResponse;

use crate::http::gate::CurrentSession;
use crate::http::representation::IdentityBody;

pub async fn get_current_session(current: CurrentSession) -> HttpResponse {
    HttpResponse::Ok().json(IdentityBody::from(current.record()))
}
