use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::http::api::update_account;
use crate::http::body::Form;
use crate::http::gate::CurrentSession;
use crate::http::pages::done::Done;
use crate::http::pages::form::{Mistakes, again};
use crate::http::pages::page;
use crate::http::pages::view::Viewer;
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "account_email.html")]
struct EmailForm<'a> {
    viewer: Viewer,
    mistakes: Mistakes,
    email: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    email: String,
    password: Zeroizing<String>,
}

pub async fn get_email(current: CurrentSession) -> Result<HttpResponse, Problem> {
    let form = EmailForm {
        email: "",
        viewer: current.into(),
        mistakes: Mistakes::default(),
    };
    page(StatusCode::OK, &form)
}

pub async fn change_email(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    Form(body): Form<Body>,
) -> Result<HttpResponse, Problem> {
    let change = update_account::Body {
        name: None,
        email: Some(body.email.clone()),
        password: Some(body.password),
    };
    match change.change(&request, &services, &current).await {
        Ok(_) => Done::EmailChanged.told_at("/account"),
        Err(problem) => again(problem, |mistakes| EmailForm {
            viewer: current.into(),
            mistakes,
            email: &body.email,
        }),
    }
}
