use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

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
#[template(path = "account_name.html")]
struct NameForm<'a> {
    viewer: Viewer,
    mistakes: Mistakes,
    name: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    name: String,
}

pub async fn get_name(current: CurrentSession) -> Result<HttpResponse, Problem> {
    let form = NameForm {
        name: &current.user().name.to_string(),
        viewer: current.into(),
        mistakes: Mistakes::default(),
    };
    page(StatusCode::OK, &form)
}

pub async fn change_name(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    Form(body): Form<Body>,
) -> Result<HttpResponse, Problem> {
    let change = update_account::Body {
        name: Some(body.name.clone()),
        email: None,
        password: None,
    };
    match change.change(&request, &services, &current).await {
        Ok(_) => Done::NameChanged.told_at("/account"),
        Err(problem) => again(problem, |mistakes| NameForm {
            viewer: current.into(),
            mistakes,
            name: &body.name,
        }),
    }
}
