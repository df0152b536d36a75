use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::form::{Mistakes, advice};
use super::{LinkQuery, Message, answer, dead_link, page};
use crate::accounts;
use crate::domain::link::LinkToken;
use crate::http::api::redeem_password;
use crate::http::body::{Form, Query};
use crate::http::problem::Problem;
use crate::http::services::Services;

const DEAD: &str = "It was used already, or replaced by a newer one, or it is over an hour old. \
                    Ask an administrator for a new one.";

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordForm<'a> {
    token: &'a str,
    advice: String,
    mistakes: Mistakes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    token: Zeroizing<String>,
    new_password: Zeroizing<String>,
}

pub async fn get_password(
    services: Data<Services>,
    Query(parameters): Query<LinkQuery>,
) -> Result<HttpResponse, Problem> {
    let Ok(token) = LinkToken::parse(&parameters.token) else {
        return dead_link(DEAD);
    };
    match services.accounts.link_holder(&token).await {
        Ok(_) => {
            let form = form(&services, &parameters.token, Mistakes::default());
            page(StatusCode::OK, &form)
        }
        Err(accounts::Error::InvalidLink(_)) => dead_link(DEAD),
        Err(error) => Err(error.into()),
    }
}

pub async fn set_password(
    request: HttpRequest,
    services: Data<Services>,
    Form(body): Form<Body>,
) -> Result<HttpResponse, Problem> {
    let done = Message {
        title: "Your password is set",
        text: "Log in with it. Wherever you may have been logged in, you no longer are.",
    };
    let redemption = redeem_password::Body {
        token: Some(body.token.clone()),
        new_password: Some(body.new_password),
    };
    let outcome = redemption.redeem(&request, &services).await;
    answer(outcome, &done, DEAD, |mistakes| {
        form(&services, &body.token, mistakes)
    })
}

fn form<'a>(services: &Services, token: &'a str, mistakes: Mistakes) -> PasswordForm<'a> {
    PasswordForm {
        token,
        advice: advice(&services.password_policy),
        mistakes,
    }
}
