//! The cookie between the carrier and actix-session's middleware: under a name
//! and a signature of this process, so that the middleware finds the token that
//! our own parser found, and nothing else.

use std::sync::Arc;

use actix_session::SessionMiddleware;
use actix_session::config::CookieContentSecurity;
use actix_web::cookie::{Cookie, CookieJar, Key};
use actix_web::http::header::HeaderValue;

use super::store::Store;
use crate::domain::token::Token;
use crate::sessions::Sessions;

/// What the middleware calls its cookie. No browser ever sees it.
const NAME: &str = "carried";

#[derive(Clone)]
pub(super) struct InnerCookie {
    key: Key,
}

impl InnerCookie {
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

    /// The `Cookie` header that the middleware will read.
    pub(super) fn pack(&self, token: &Token) -> Option<HeaderValue> {
        let mut jar = CookieJar::new();
        let cookie = Cookie::new(NAME, token.expose().to_string());
        jar.signed_mut(&self.key).add(cookie);
        let packed = jar.get(NAME)?.encoded().stripped().to_string();
        HeaderValue::try_from(packed).ok()
    }
}
