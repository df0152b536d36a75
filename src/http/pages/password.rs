use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Message, dead_link, mistake, mistakes, page};
use crate::domain::link::LinkToken;
use crate::domain::password::NewPassword;
use crate::http::body::{Fields, Form, Query};
use crate::http::client::strangers_act;
use crate::http::problem::{FieldError, Problem};
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordForm<'a> {
    token: &'a str,
    min_length: usize,
    errors: Vec<FieldError>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    #[serde(default)]
    token: Zeroizing<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    token: Zeroizing<String>,
    new_password: Zeroizing<String>,
}

pub async fn get_password(
    services: Data<Services>,
    Query(parameters): Query<Parameters>,
) -> Result<HttpResponse, Problem> {
    let is_usable = match LinkToken::parse(&parameters.token) {
        Ok(token) => services.accounts.is_password_link(&token).await?,
        Err(_) => false,
    };
    if !is_usable {
        return dead_link();
    }
    let form = PasswordForm {
        token: &parameters.token,
        min_length: services.password_min_length,
        errors: Vec::new(),
    };
    page(StatusCode::OK, &form)
}

pub async fn set_password(
    request: HttpRequest,
    services: Data<Services>,
    Form(body): Form<Body>,
) -> Result<HttpResponse, Problem> {
    let Ok(token) = LinkToken::parse(&body.token) else {
        return dead_link();
    };
    let errors = match redeem(&request, &services, &token, &body).await {
        Ok(()) => {
            let message = Message {
                title: "Your password is set",
                text: "Everywhere you were logged in, you are no longer. Log in with the \
                       password you have just chosen.",
            };
            return page(StatusCode::OK, &message);
        }
        Err(problem) => mistakes(problem)?,
    };
    if mistake(&errors, "token").is_some() {
        return dead_link();
    }
    let form = PasswordForm {
        token: &body.token,
        min_length: services.password_min_length,
        errors,
    };
    page(StatusCode::UNPROCESSABLE_ENTITY, &form)
}

async fn redeem(
    request: &HttpRequest,
    services: &Services,
    token: &LinkToken,
    body: &Body,
) -> Result<(), Problem> {
    let mut fields = Fields::default();
    let password = fields.parse("new_password", Some(&*body.new_password), |text| {
        NewPassword::parse(text, services.password_min_length)
    });
    let password = password.ok_or_else(|| fields.into_problem())?;
    let act = strangers_act(request, services);
    Ok(services.accounts.redeem(token, password, act).await?)
}
