use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::http::api::change_password;
use crate::http::body::Form;
use crate::http::gate::CurrentSession;
use crate::http::pages::done::Done;
use crate::http::pages::form::{Mistakes, advice, again};
use crate::http::pages::page;
use crate::http::pages::view::Viewer;
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "account_password.html")]
struct PasswordForm {
    viewer: Viewer,
    mistakes: Mistakes,
    advice: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    current_password: Zeroizing<String>,
    new_password: Zeroizing<String>,
}

pub async fn get_password(
    current: CurrentSession,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let form = PasswordForm {
        viewer: current.into(),
        mistakes: Mistakes::default(),
        advice: advice(&services.password_policy),
    };
    page(StatusCode::OK, &form)
}

pub async fn change_password(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    Form(body): Form<Body>,
) -> Result<HttpResponse, Problem> {
    let change = change_password::Body {
        current_password: Some(body.current_password),
        new_password: Some(body.new_password),
    };
    match change.change(&request, &services, &current).await {
        Ok(()) => Done::PasswordChanged.told_at("/account"),
        Err(problem) => again(problem, |mistakes| PasswordForm {
            viewer: current.into(),
            mistakes,
            advice: advice(&services.password_policy),
        }),
    }
}
