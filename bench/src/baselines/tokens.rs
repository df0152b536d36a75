//! An app with tokens instead of sessions, as one is usually built: log-in, log-out, and
//! what is done about tokens that cannot be revoked. Who logs in is believed: what a
//! password costs is the same everywhere.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::error::{ErrorInternalServerError, ErrorUnauthorized};
use actix_web::web::{Data, Json, post};
use actix_web::{HttpRequest, HttpResponse};
use anyhow::Result;
use serde::Deserialize;

use super::denylist::Denylist;
use super::guard::{Guard, Identify};
use super::jwt::{Claims, DAY, Issuer};
use super::refresh::{Family, Refresh};
use super::{route, run};
use crate::stand::COOKIE_NAME;

/// What is done about tokens that cannot be revoked.
#[derive(Clone)]
pub(super) enum Remedy {
    None,
    Refresh(Refresh),
    /// In that Redis.
    Denylist(String),
}

struct Tokens {
    issuer: Issuer,
    refresh: Option<Refresh>,
    denylist: Option<Denylist>,
}

pub const LOG_IN: &str = "/auth/login";
pub const LOG_OUT: &str = "/auth/logout";
pub const REFRESH: &str = "/auth/refresh";

pub const REFRESH_COOKIE: &str = "refresh_token";
/// Where browsers send it, and nowhere else.
const REFRESH_PATH: &str = "/auth";

/// Of a token, in seconds, if another can be had for a refresh token.
const SHORT: i64 = 15 * 60;

pub(super) async fn serve(issuer: Issuer, remedy: Remedy) -> Result<()> {
    let cookies = issuer.cookies()?;
    run(&cookies, move |app| {
        let (refresh, denylist) = match remedy.clone() {
            Remedy::None => (None, None),
            Remedy::Refresh(refresh) => (Some(refresh), None),
            Remedy::Denylist(redis) => (None, Some(Denylist::new(redis))),
        };
        let tokens = Data::new(Tokens {
            issuer: issuer.clone(),
            refresh,
            denylist,
        });
        app.app_data(tokens.clone())
            .service(route().wrap(Guard::new(tokens)))
            .route(LOG_IN, post().to(log_in))
            .route(LOG_OUT, post().to(log_out))
            .route(REFRESH, post().to(renew));
    })
    .await
}

impl Identify for Data<Tokens> {
    type Identity = Claims;

    async fn identify(&self, request: &HttpRequest) -> Option<Claims> {
        let claims = self.issuer.jwt.verify(request)?;
        let is_denied = match &self.denylist {
            Some(denylist) => denylist.has(&claims).await.ok()?,
            None => false,
        };
        (!is_denied).then_some(claims)
    }
}

#[derive(Deserialize)]
struct Who {
    email: String,
}

async fn log_in(tokens: Data<Tokens>, Json(who): Json<Who>) -> actix_web::Result<HttpResponse> {
    let lifetime = if tokens.refresh.is_some() { SHORT } else { DAY };
    let claims = Claims::new(who.email, lifetime);
    let family = Family {
        id: claims.sid.clone(),
        email: claims.email.clone(),
    };
    let refresh = match &tokens.refresh {
        Some(refresh) => Some(refresh.begin(&family).await.map_err(broken)?),
        None => None,
    };
    tokens.answer(&claims, refresh)
}

async fn renew(request: HttpRequest, tokens: Data<Tokens>) -> actix_web::Result<HttpResponse> {
    let presented = request.cookie(REFRESH_COOKIE);
    let (Some(refresh), Some(presented)) = (&tokens.refresh, presented) else {
        return Err(ErrorUnauthorized("no refresh token"));
    };
    let rotated = refresh.rotate(presented.value()).await.map_err(broken)?;
    let (family, next) = rotated.ok_or_else(|| ErrorUnauthorized("no such refresh token"))?;
    let mut claims = Claims::new(family.email, SHORT);
    claims.sid = family.id;
    tokens.answer(&claims, Some(next))
}

async fn log_out(request: HttpRequest, tokens: Data<Tokens>) -> actix_web::Result<HttpResponse> {
    if let Some(denylist) = &tokens.denylist
        && let Some(claims) = tokens.issuer.jwt.verify(&request)
    {
        denylist.add(&claims).await.map_err(broken)?;
    }
    if let Some(refresh) = &tokens.refresh
        && let Some(presented) = request.cookie(REFRESH_COOKIE)
    {
        refresh.end(presented.value()).await.map_err(broken)?;
    }
    let mut access = cookie(COOKIE_NAME, String::new(), "/", DAY);
    let mut refresh = cookie(REFRESH_COOKIE, String::new(), REFRESH_PATH, DAY);
    access.make_removal();
    refresh.make_removal();
    Ok(HttpResponse::NoContent()
        .cookie(access)
        .cookie(refresh)
        .finish())
}

impl Tokens {
    fn answer(&self, claims: &Claims, refresh: Option<String>) -> actix_web::Result<HttpResponse> {
        let token = self.issuer.issue(claims).map_err(broken)?;
        let mut answer = HttpResponse::Ok();
        answer.cookie(cookie(COOKIE_NAME, token, "/", claims.rest()));
        if let Some(refresh) = refresh {
            answer.cookie(cookie(REFRESH_COOKIE, refresh, REFRESH_PATH, 7 * DAY));
        }
        Ok(answer.finish())
    }
}

fn cookie(name: &'static str, value: String, path: &'static str, seconds: i64) -> Cookie<'static> {
    Cookie::build(name, value)
        .path(path)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(Duration::seconds(seconds))
        .finish()
}

fn broken(error: anyhow::Error) -> actix_web::Error {
    ErrorInternalServerError(error)
}
