use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::done::Asked;
use super::form::{Mistakes, again};
use super::{page, see_other};
use crate::http::api::login;
use crate::http::body::{Form, given};
use crate::http::carrier::Presented;
use crate::http::gate;
use crate::http::problem::Problem;
use crate::http::services::Services;

/// Where those go who came from nowhere else.
pub(super) const HOME: &str = "/account";

const HAS_ENDED: &str = "Your session has ended: you or an administrator ended it, or it was \
                         not used for too long. Log in again.";

#[derive(Template)]
#[template(path = "login.html")]
struct LoginForm<'a> {
    notice: Option<&'static str>,
    mistakes: Mistakes,
    email: &'a str,
    remember_me: bool,
    return_to: Option<&'a str>,
    takes_registrations: bool,
}

/// Others may have added to it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Parameters {
    #[serde(deserialize_with = "given")]
    pub(super) return_to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[serde(default, deserialize_with = "given")]
    return_to: Option<String>,
    email: String,
    password: Zeroizing<String>,
    #[serde(default)]
    remember_me: bool,
}

/// Who is logged in already is sent on; whose session has ended is told so.
pub async fn get_login(
    request: HttpRequest,
    services: Data<Services>,
    Asked(parameters, told): Asked<Parameters>,
) -> Result<HttpResponse, Problem> {
    let return_to = way_back(&services, parameters.return_to.as_deref());
    if gate::current(&request, &services).await?.is_some() {
        return go_on(return_to);
    }
    let had_session = Presented::of(&request).is_some();
    let form = LoginForm {
        notice: told.or(had_session.then_some(HAS_ENDED)),
        mistakes: Mistakes::default(),
        email: "",
        remember_me: false,
        return_to: return_to.as_deref(),
        takes_registrations: services.accounts.takes_registrations(),
    };
    Ok(services
        .return_origins
        .allow_in(page(StatusCode::OK, &form)?))
}

pub async fn log_in(
    request: HttpRequest,
    services: Data<Services>,
    Form(body): Form<Body>,
) -> Result<HttpResponse, Problem> {
    let return_to = way_back(&services, body.return_to.as_deref());
    let credentials = login::Body {
        email: Some(body.email),
        password: Some(body.password),
        remember_me: body.remember_me,
    };
    let Err(problem) = credentials.log_in(&request, &services).await else {
        return go_on(return_to);
    };
    let form = again(problem, |mistakes| LoginForm {
        notice: None,
        mistakes,
        email: credentials.email.as_deref().unwrap_or_default(),
        remember_me: body.remember_me,
        return_to: return_to.as_deref(),
        takes_registrations: services.accounts.takes_registrations(),
    })?;
    Ok(services.return_origins.allow_in(form))
}

pub(super) fn way_back(services: &Services, return_to: Option<&str>) -> Option<String> {
    return_to.and_then(|target| services.return_origins.way_back(target))
}

/// Who is logged in goes on to where they were going.
pub(super) fn go_on(return_to: Option<String>) -> Result<HttpResponse, Problem> {
    see_other(return_to.unwrap_or_else(|| HOME.to_owned()))
}
