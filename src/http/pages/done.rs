//! What a form has done, told by the page that comes after it: by a word in its
//! address that stands for a sentence of ours.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::REFERER;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::see_other;
use crate::http::body::{Query, parse_query};
use crate::http::cross_site::SEC_FETCH_SITE;
use crate::http::problem::Problem;
use crate::http::services::Services;

const PARAMETER: &str = "done";

macro_rules! done {
    ($($done:ident = $word:literal, $sentence:literal;)*) => {
        #[derive(Clone, Copy)]
        pub(super) enum Done {
            $($done),*
        }

        impl Done {
            const ALL: &[Self] = &[$(Self::$done),*];

            const fn word(self) -> &'static str {
                match self {
                    $(Self::$done => $word),*
                }
            }

            const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$done => $sentence),*
                }
            }
        }
    };
}

done! {
    NameChanged = "name_changed", "Your name is changed.";
    EmailChanged = "email_changed", "Your e-mail address is changed. You are logged out everywhere else.";
    PasswordChanged = "password_changed", "Your password is changed. You are logged out everywhere else.";
    SessionEnded = "session_ended", "That session has ended.";
    NoSuchSession = "no_such_session", "There was no such session any more.";
    OthersEnded = "others_ended", "You are logged out everywhere else.";
    AllEnded = "all_ended", "All sessions of this user have ended.";
    Locked = "locked", "The account is locked, and all its sessions have ended.";
    Unlocked = "unlocked", "The account is unlocked. Sessions that were ended stay so.";
    AttemptsCleared = "attempts_cleared", "The wrong passwords are forgotten: this user can try again at once.";
    RoleChanged = "role_changed", "The role is changed.";
    UserDeleted = "user_deleted", "The user is deleted, and all their sessions have ended.";
    LoggedOut = "logged_out", "You are logged out.";
    AccountDeleted = "account_deleted", "Your account is deleted.";
}

impl Done {
    /// Has a browser go on to a page of ours, which tells of it.
    pub(super) fn told_at(self, path: &str) -> Result<HttpResponse, Problem> {
        let separator = if path.contains('?') { '&' } else { '?' };
        see_other(format!("{path}{separator}{PARAMETER}={}", self.word()))
    }
}

/// The page whose form was sent, without what it told; `otherwise` if the browser
/// does not say.
pub(super) fn page_before(request: &HttpRequest, services: &Services, otherwise: &str) -> String {
    let referrer = request.headers().get(REFERER);
    let page = referrer
        .and_then(|address| services.return_origins.way_back(address.to_str().ok()?))
        .filter(|page| page.starts_with('/'))
        .unwrap_or_else(|| otherwise.to_owned());
    match page.split_once('?') {
        Some((path, query)) => match without_done(query) {
            rest if rest.is_empty() => path.to_owned(),
            rest => format!("{path}?{rest}"),
        },
        None => page,
    }
}

fn without_done(query: &str) -> String {
    let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != PARAMETER);
    let mut rest = form_urlencoded::Serializer::new(String::new());
    rest.extend_pairs(pairs).finish()
}

/// A page's query, and what the page is to tell.
pub(in crate::http) struct Asked<T>(pub(super) T, pub(super) Option<&'static str>);

impl<T: DeserializeOwned> FromRequest for Asked<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let rest = without_done(request.query_string());
        ready(parse_query(&rest).map(|Query(query)| Self(query, told(request))))
    }
}

/// Only what another page of ours has led to is believed: a link from elsewhere must
/// not make us say anything.
fn told(request: &HttpRequest) -> Option<&'static str> {
    let site = request.headers().get(SEC_FETCH_SITE);
    if site.is_some_and(|site| site != "same-origin") {
        return None;
    }
    let query = request.query_string();
    let (_, word) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == PARAMETER)?;
    let done = Done::ALL.iter().find(|done| done.word() == word)?;
    Some(done.sentence())
}
