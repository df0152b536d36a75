//! Carries sessions on the routes that change them: a thin layer around
//! actix-session's middleware. It hands the middleware the token that our own
//! parser found, under a name and a signature of this process; and it turns
//! what the middleware sets into our cookie, with our key ring and lifetime.
//!
//! A use case has issued or ended the session before the middleware writes.

use std::sync::Arc;

use actix_session::config::CookieContentSecurity;
use actix_session::{SessionExt as _, SessionMiddleware, SessionStatus};
use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, CookieJar, Key};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest};
use anyhow::anyhow;

use super::problem::Problem;
use super::services::Services;
use super::store::{ISSUED_TOKEN, SESSION_ID, Store, USER_ID};
use crate::domain::digest::TokenDigest;
use crate::domain::session::Session;
use crate::domain::token::Token;
use crate::sessions::{Issued, Sessions};

/// What the middleware calls its cookie. No browser ever sees it.
const NAME: &str = "carried";

#[derive(Clone)]
pub(super) struct Carrier {
    key: Key,
}

/// The genuine token that the request came with, by its digest.
#[derive(Clone, Copy)]
pub(super) struct Presented(Option<TokenDigest>);

impl Presented {
    /// Reads the cookie, unless [`carry`] has.
    pub(super) fn of(request: &HttpRequest, services: &Services) -> Option<TokenDigest> {
        if let Some(Self(digest)) = request.extensions().get::<Self>() {
            return *digest;
        }
        let token = services
            .cookie
            .read(request.headers(), services.sessions.keys());
        token.map(|token| token.digest())
    }
}

impl Carrier {
    pub(super) fn new() -> Self {
        Self {
            key: Key::generate(),
        }
    }

    pub(super) fn middleware(&self, sessions: &Arc<Sessions>) -> SessionMiddleware<Store> {
        SessionMiddleware::builder(Store::new(Arc::clone(sessions)), self.key.clone())
            .cookie_name(NAME.to_owned())
            .cookie_content_security(CookieContentSecurity::Signed)
            .build()
    }

    fn pack(&self, token: &Token) -> Option<HeaderValue> {
        let mut jar = CookieJar::new();
        let cookie = Cookie::new(NAME, token.expose().to_string());
        jar.signed_mut(&self.key).add(cookie);
        let packed = jar.get(NAME)?.encoded().stripped().to_string();
        HeaderValue::try_from(packed).ok()
    }

    /// The token in a `Set-Cookie` of the middleware; `None` if it removes one.
    fn unpack(&self, set_cookie: &HeaderValue, services: &Services) -> Option<Token> {
        let cookie = Cookie::parse_encoded(set_cookie.to_str().ok()?.to_owned()).ok()?;
        let mut jar = CookieJar::new();
        jar.add_original(cookie.into_owned());
        let value = jar.signed(&self.key).get(NAME)?;
        Token::verify(value.value().as_bytes(), services.sessions.keys())
    }
}

/// Leaves a session just issued where the middleware takes it up.
pub(super) fn carry_issued(request: &HttpRequest, issued: &Issued) -> Result<(), Problem> {
    let state = request.get_session();
    let record = &issued.record;
    state
        .insert(USER_ID, record.user.id)
        .and_then(|()| state.insert(SESSION_ID, record.session.id))
        .and_then(|()| state.insert(ISSUED_TOKEN, issued.token.expose().as_str()))
        .map_err(|error| Problem::internal(anyhow!("{error}")))?;
    request.extensions_mut().insert(record.session.clone());
    Ok(())
}

/// Has the cookie removed: the session has ended.
pub(super) fn carry_ended(request: &HttpRequest) {
    request.get_session().purge();
}

/// Wraps the middleware.
pub(super) async fn carry<B: MessageBody + 'static>(
    services: Data<Services>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, actix_web::Error> {
    let token = services
        .cookie
        .read(request.headers(), services.sessions.keys());
    let digest = token.as_ref().map(Token::digest);
    request.extensions_mut().insert(Presented(digest));
    request.headers_mut().remove(COOKIE);
    if let Some(packed) = token.and_then(|token| services.carrier.pack(&token)) {
        request.headers_mut().insert(COOKIE, packed);
    }

    // Nothing may hold on to the request here: the middleware changes it.
    let answer = next.call(request).await;
    let mut response = answer.map_err(|error| middleware_failure(&error))?;
    let ours = our_cookie(&services, response.request(), response.headers());
    response.headers_mut().remove(SET_COOKIE);
    if let Some(ours) = ours {
        response.headers_mut().append(SET_COOKIE, ours);
    }
    Ok(response.map_into_boxed_body())
}

fn our_cookie(
    services: &Services,
    request: &HttpRequest,
    headers: &HeaderMap,
) -> Option<HeaderValue> {
    // The middleware removes no cookie of a session it did not find alive.
    if request.get_session().status() == SessionStatus::Purged {
        return services.cookie.remove();
    }
    let set_cookie = headers.get(SET_COOKIE)?;
    let token = services.carrier.unpack(set_cookie, services)?;
    let extensions = request.extensions();
    services.cookie.set(&token, extensions.get::<Session>()?)
}

/// The middleware's own errors: saving what was not issued is a mistake of
/// ours, anything else a store that does not answer.
fn middleware_failure(error: &actix_web::Error) -> Problem {
    use actix_session::storage::{SaveError, UpdateError};
    let is_ours = error.as_error::<InternalError<SaveError>>().is_some()
        || error.as_error::<InternalError<UpdateError>>().is_some();
    if is_ours {
        Problem::internal(anyhow!("{error}"))
    } else {
        Problem::unavailable(anyhow!("{error}"))
    }
}
