//! The buttons that end one's own sessions.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::id::SessionId;
use crate::http::body::{Id, NoForm};
use crate::http::client::act_of;
use crate::http::gate::CurrentSession;
use crate::http::pages::done::Done;
use crate::http::problem::{Kind, Problem};
use crate::http::services::Services;
use crate::sessions::Revoked;

pub async fn end_session(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    Id(session): Id<SessionId>,
    _: NoForm,
) -> Result<HttpResponse, Problem> {
    let user = current.user().id;
    let act = act_of(&request, &services, user);
    match services.sessions.revoke(user, session, act).await? {
        Revoked::Done => Done::SessionEnded.told_at("/account"),
        Revoked::NotFound => Done::NoSuchSession.told_at("/account"),
    }
}

pub async fn end_others(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    _: NoForm,
) -> Result<HttpResponse, Problem> {
    let by = current.record();
    let act = act_of(&request, &services, by.session.user_id);
    let ended = services.sessions.revoke_others(by, act).await?;
    ended.ok_or(Kind::Unauthenticated)?;
    Done::OthersEnded.told_at("/account")
}
