use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::form::{Mistakes, advice, again};
use super::login::{Parameters, go_on, way_back};
use super::page;
use crate::http::api::register;
use crate::http::body::{Form, Query, given};
use crate::http::gate;
use crate::http::problem::{Kind, Problem};
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterForm<'a> {
    mistakes: Mistakes,
    email: &'a str,
    name: &'a str,
    advice: String,
    return_to: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[serde(default, deserialize_with = "given")]
    return_to: Option<String>,
    email: String,
    name: String,
    password: Zeroizing<String>,
}

pub async fn get_register(
    request: HttpRequest,
    services: Data<Services>,
    Query(parameters): Query<Parameters>,
) -> Result<HttpResponse, Problem> {
    if !services.accounts.takes_registrations() {
        return Err(Kind::RegistrationClosed.into());
    }
    let return_to = way_back(&services, parameters.return_to.as_deref());
    if gate::current(&request, &services).await?.is_some() {
        return go_on(return_to);
    }
    let form = RegisterForm {
        mistakes: Mistakes::default(),
        email: "",
        name: "",
        advice: advice(&services.password_policy),
        return_to: return_to.as_deref(),
    };
    Ok(services
        .return_origins
        .allow_in(page(StatusCode::OK, &form)?))
}

pub async fn register_user(
    request: HttpRequest,
    services: Data<Services>,
    Form(body): Form<Body>,
) -> Result<HttpResponse, Problem> {
    let return_to = way_back(&services, body.return_to.as_deref());
    let account = register::Body {
        email: Some(body.email),
        name: Some(body.name),
        password: Some(body.password),
    };
    let Err(problem) = account.register(&request, &services).await else {
        return go_on(return_to);
    };
    let form = again(problem, |mistakes| RegisterForm {
        mistakes,
        email: account.email.as_deref().unwrap_or_default(),
        name: account.name.as_deref().unwrap_or_default(),
        advice: advice(&services.password_policy),
        return_to: return_to.as_deref(),
    })?;
    Ok(services.return_origins.allow_in(form))
}
