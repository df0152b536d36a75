use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::form::{Mistakes, advice};
use super::{LinkQuery, Message, answer, dead_link, page};
use crate::accounts::{NewAccount, SetUp};
use crate::domain::email::Email;
use crate::domain::link::LinkToken;
use crate::domain::password::{NewPassword, Owner};
use crate::domain::user::{Role, UserName};
use crate::http::body::{Fields, Form, Query};
use crate::http::client::strangers_act;
use crate::http::problem::Problem;
use crate::http::services::Services;

const DEAD: &str = "It was used already, or replaced by a newer one, or it is over an hour old. \
                    While there is no administrator, gatelodge setup-link prints a new one.";

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupForm<'a> {
    token: &'a str,
    email: &'a str,
    name: &'a str,
    advice: String,
    mistakes: Mistakes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    token: Zeroizing<String>,
    email: String,
    name: String,
    password: Zeroizing<String>,
}

pub async fn get_setup(
    services: Data<Services>,
    Query(parameters): Query<LinkQuery>,
) -> Result<HttpResponse, Problem> {
    match LinkToken::parse(&parameters.token) {
        Ok(token) if services.accounts.is_setup_link(&token).await? => {
            let form = SetupForm {
                token: &parameters.token,
                email: "",
                name: "",
                advice: advice(&services.password_policy),
                mistakes: Mistakes::default(),
            };
            page(StatusCode::OK, &form)
        }
        Ok(_) | Err(_) => dead_link(DEAD),
    }
}

pub async fn set_up(
    request: HttpRequest,
    services: Data<Services>,
    Form(body): Form<Body>,
) -> Result<HttpResponse, Problem> {
    let done = Message {
        title: "All set",
        text: "You are the administrator of this Gatelodge. Log in with the e-mail address and \
               the password you have just chosen.",
    };
    let outcome = create(&request, &services, &body).await;
    answer(outcome, &done, DEAD, |mistakes| SetupForm {
        token: &body.token,
        email: &body.email,
        name: &body.name,
        advice: advice(&services.password_policy),
        mistakes,
    })
}

async fn create(request: &HttpRequest, services: &Services, body: &Body) -> Result<(), Problem> {
    let mut fields = Fields::default();
    let token = fields.parse("token", Some(&*body.token), LinkToken::parse);
    let email = fields.parse("email", Some(&body.email), Email::parse);
    let name = fields.parse("name", Some(&body.name), UserName::parse);
    let password = fields.parse("password", Some(&*body.password), |text| {
        let owner = Owner {
            name: name.as_ref(),
            email: email.as_ref(),
        };
        NewPassword::parse(text, &services.password_policy, owner)
    });
    let (Some(token), Some(email), Some(name), Some(password)) = (token, email, name, password)
    else {
        return Err(fields.into_problem());
    };
    let by = SetUp {
        account: NewAccount {
            email,
            name,
            role: Role::Admin,
        },
        password,
    };
    let act = strangers_act(request, services);
    services.accounts.set_up(&token, by, act).await?;
    Ok(())
}
