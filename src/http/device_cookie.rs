//! The cookie that a browser is known by after it has logged in: what others guess at the
//! account does not keep it out. It authenticates nothing.

use actix_web::http::header::{HeaderMap, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest};

use super::cookie::{DEVICE, OwnCookie};
use super::problem::Problem;
use super::services::Services;
use crate::config::{Cookie, PublicUrl};
use crate::domain::device::{DEVICE_LIFETIME, DeviceClaim};
use crate::sessions::Issued;

#[derive(Clone)]
pub(super) struct DeviceCookie(OwnCookie);

/// What a request's cookie claims, on a route whose cookies are taken away.
#[derive(Clone, Copy)]
pub(super) struct Claimed(pub(super) Option<DeviceClaim>);

impl DeviceCookie {
    pub(super) fn new(public_url: &PublicUrl, settings: &Cookie) -> Self {
        Self(OwnCookie::new(DEVICE, public_url, settings))
    }

    pub(super) fn read(&self, headers: &HeaderMap) -> Option<DeviceClaim> {
        DeviceClaim::parse(self.0.read(headers)?)
    }

    /// `Set-Cookie` for a browser that a user has just logged in with.
    pub(super) fn set(
        &self,
        request: &HttpRequest,
        services: &Services,
        issued: &Issued,
    ) -> Result<HeaderValue, Problem> {
        let claimed = device_of(request, services);
        let value = services.accounts.known_device(issued, claimed);
        self.0.set(&value, Some(DEVICE_LIFETIME))
    }
}

/// As which the browser says that an account knows it.
pub(super) fn device_of(request: &HttpRequest, services: &Services) -> Option<DeviceClaim> {
    let claimed = request.extensions().get::<Claimed>().copied();
    match claimed {
        Some(Claimed(claim)) => claim,
        None => services.device_cookie.read(request.headers()),
    }
}
