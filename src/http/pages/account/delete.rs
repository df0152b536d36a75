use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::http::api::delete_account;
use crate::http::body::Form;
use crate::http::gate::CurrentSession;
use crate::http::pages::done::Done;
use crate::http::pages::form::{Mistakes, again};
use crate::http::pages::page;
use crate::http::pages::view::Viewer;
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "account_delete.html")]
struct DeleteForm {
    viewer: Viewer,
    mistakes: Mistakes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    password: Zeroizing<String>,
}

pub async fn get_delete(current: CurrentSession) -> Result<HttpResponse, Problem> {
    let form = DeleteForm {
        viewer: current.into(),
        mistakes: Mistakes::default(),
    };
    page(StatusCode::OK, &form)
}

pub async fn delete_account(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    Form(body): Form<Body>,
) -> Result<HttpResponse, Problem> {
    let deletion = delete_account::Body {
        password: Some(body.password),
    };
    match deletion.delete(&request, &services, &current).await {
        Ok(()) => Done::AccountDeleted.told_at("/login"),
        Err(problem) => again(problem, |mistakes| DeleteForm {
            viewer: current.into(),
            mistakes,
        }),
    }
}
