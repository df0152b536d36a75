//! Carries sessions on the routes that change them: a thin layer around
//! actix-session's middleware. It hands the middleware the token that our own
//! parser found, under a name and a signature of this process; and it puts our
//! cookies, with our key ring and lifetimes, in the place of the one it sets.
//!
//! A use case has issued or ended the session before the middleware writes.

use actix_session::SessionExt as _;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest};
use anyhow::anyhow;

use super::device_cookie::Claimed;
use super::problem::Problem;
use super::services::Services;
use super::store::{ISSUED_TOKEN, SESSION_ID, USER_ID};
use crate::domain::digest::TokenDigest;
use crate::domain::token::Token;
use crate::sessions::Issued;

/// The genuine token that the request came with, by its digest.
#[derive(Clone, Copy)]
pub(super) struct Presented(Option<TokenDigest>);

impl Presented {
    /// On a route that [`carry`] wraps.
    pub(super) fn of(request: &HttpRequest) -> Option<TokenDigest> {
        request.extensions().get::<Self>()?.0
    }
}

/// Sessions may have been ended by a request that need not have one.
pub(super) struct HasEnded;

/// What a handler has done to the session that the cookie carries.
enum Done {
    Issued {
        session: HeaderValue,
        device: HeaderValue,
    },
    Ended,
}

/// Leaves a session just issued where the middleware takes it up.
pub(super) fn carry_issued(
    request: &HttpRequest,
    services: &Services,
    issued: &Issued,
) -> Result<(), Problem> {
    let (state, record) = (request.get_session(), &issued.record);
    state
        .insert(USER_ID, record.session.user_id)
        .and_then(|()| state.insert(SESSION_ID, record.session.id))
        .and_then(|()| state.insert(ISSUED_TOKEN, issued.token.expose().as_str()))
        .map_err(|error| Problem::internal(anyhow!("{error}")))?;
    let done = Done::Issued {
        session: services.cookie.set(&issued.token, &record.session)?,
        device: services.device_cookie.set(request, services, issued)?,
    };
    if Presented::of(request).is_some() {
        request.extensions_mut().insert(HasEnded);
    }
    request.extensions_mut().insert(done);
    Ok(())
}

/// Has the cookie removed: the session has ended. (Purging it instead would
/// have the middleware revoke it a second time.)
pub(super) fn carry_ended(request: &HttpRequest) {
    request.extensions_mut().insert(Done::Ended);
}

/// Wraps the middleware.
pub(super) async fn carry<B: MessageBody + 'static>(
    services: Data<Services>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, actix_web::Error> {
    let claim = services.cookie.read(request.headers());
    let token = claim.and_then(|claim| claim.verify(services.sessions.keys()));
    let digest = token.as_ref().map(Token::digest);
    request.extensions_mut().insert(Presented(digest));
    let device = services.device_cookie.read(request.headers());
    request.extensions_mut().insert(Claimed(device));
    request.headers_mut().remove(COOKIE);
    if let Some(packed) = token.and_then(|token| services.inner_cookie.pack(&token)) {
        request.headers_mut().insert(COOKIE, packed);
    }

    // Nothing may hold on to the request here: the middleware changes it.
    let answer = next.call(request).await;
    let mut response = answer.map_err(|error| middleware_failure(&error))?;
    let is_set = response.headers_mut().remove(SET_COOKIE).next().is_some();
    let done = response.request().extensions_mut().remove::<Done>();
    let ours = match (done, is_set) {
        (Some(Done::Issued { session, device }), true) => vec![session, device],
        (Some(Done::Ended), _) => vec![services.cookie.remove()?],
        (None, false) => Vec::new(),
        (Some(Done::Issued { .. }), false) | (None, true) => {
            return Err(Problem::internal(anyhow!("the session was not carried")).into());
        }
    };
    for ours in ours {
        response.headers_mut().append(SET_COOKIE, ours);
    }
    Ok(response.map_into_boxed_body())
}

/// The middleware's own errors: saving what was not issued is a mistake of
/// ours, anything else a store that does not answer.
fn middleware_failure(error: &actix_web::Error) -> Problem {
    use actix_session::storage::{SaveError, UpdateError};
    let is_ours = error.as_error::<InternalError<SaveError>>().is_some()
        || error.as_error::<InternalError<UpdateError>>().is_some();
    if is_ours {
        Problem::internal(anyhow!("{error:?}"))
    } else {
        Problem::unavailable(anyhow!("{error:?}"))
    }
}
