use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Message, Parameters, answer, dead_link, page};
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
pub struct Body {
    token: Zeroizing<String>,
    new_password: Zeroizing<String>,
}

pub async fn get_password(
    services: Data<Services>,
    Query(parameters): Query<Parameters>,
) -> Result<HttpResponse, Problem> {
    match LinkToken::parse(&parameters.token) {
        Ok(token) if services.accounts.is_password_link(&token).await? => {
            let form = form(&services, &parameters.token, Vec::new());
            page(StatusCode::OK, &form)
        }
        Ok(_) | Err(_) => dead_link(),
    }
}

pub async fn set_password(
    request: HttpRequest,
    services: Data<Services>,
    Form(body): Form<Body>,
) -> Result<HttpResponse, Problem> {
    let done = Message {
        title: "Your password is set",
        text: "Everywhere you were logged in, you are no longer. Log in with the password you \
               have just chosen.",
    };
    let outcome = redeem(&request, &services, &body).await;
    answer(outcome, &done, |errors| {
        form(&services, &body.token, errors)
    })
}

fn form<'a>(services: &Services, token: &'a str, errors: Vec<FieldError>) -> PasswordForm<'a> {
    PasswordForm {
        token,
        min_length: services.password_min_length,
        errors,
    }
}

async fn redeem(request: &HttpRequest, services: &Services, body: &Body) -> Result<(), Problem> {
    let mut fields = Fields::default();
    let token = fields.parse("token", Some(&*body.token), LinkToken::parse);
    let password = fields.parse("new_password", Some(&*body.new_password), |text| {
        NewPassword::parse(text, services.password_min_length)
    });
    let (Some(token), Some(password)) = (token, password) else {
        return Err(fields.into_problem());
    };
    let act = strangers_act(request, services);
    Ok(services.accounts.redeem(&token, password, act).await?)
}
