use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::PasswordLink;
use crate::http::api::admin::create_user;
use crate::http::body::Form;
use crate::http::gate::AdminSession;
use crate::http::pages::form::{Mistakes, again};
use crate::http::pages::page;
use crate::http::pages::view::{Moment, Viewer};
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "admin_new_user.html")]
struct NewUserForm<'a> {
    viewer: Viewer,
    mistakes: Mistakes,
    email: &'a str,
    name: &'a str,
    role: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    email: String,
    name: String,
    role: String,
}

pub async fn get_new_user(admin: AdminSession) -> Result<HttpResponse, Problem> {
    let form = NewUserForm {
        viewer: admin.into(),
        mistakes: Mistakes::default(),
        email: "",
        name: "",
        role: "user",
    };
    page(StatusCode::OK, &form)
}

pub async fn create_user(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Form(body): Form<Body>,
) -> Result<HttpResponse, Problem> {
    let account = create_user::Body {
        email: Some(body.email.clone()),
        name: Some(body.name.clone()),
        role: Some(body.role.clone()),
    };
    match account.invite(&request, &services, &admin).await {
        Ok(created) => page(
            StatusCode::CREATED,
            &PasswordLink {
                viewer: admin.into(),
                email: created.user.email.as_str(),
                link: &services.links.password(&created.invitation.token),
                expires: Moment(created.invitation.expires_at),
            },
        ),
        Err(problem) => again(problem, |mistakes| NewUserForm {
            viewer: admin.into(),
            mistakes,
            email: &body.email,
            name: &body.name,
            role: &body.role,
        }),
    }
}
