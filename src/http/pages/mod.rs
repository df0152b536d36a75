//! Pages for people: rendered here, working without JavaScript, with nothing from
//! elsewhere. A form does what the API's call does, through the same code.

pub(super) mod account;
pub(super) mod admin;
pub(super) mod assets;
pub(super) mod docs;
mod done;
mod form;
pub(super) mod friendly;
pub(super) mod login;
pub(super) mod logout;
pub(super) mod password;
pub(super) mod problems;
pub(super) mod register;
pub(super) mod setup;
mod view;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, TryIntoHeaderValue,
};
use askama::Template;
use serde::Deserialize;
use zeroize::Zeroizing;

use self::form::{Mistakes, again};
use super::headers::{ALONE, PAGE_POLICY};
use super::problem::Problem;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

fn page(status: StatusCode, template: &impl Template) -> Result<HttpResponse, Problem> {
    dress(HttpResponse::new(status), template)
}

/// An answer with a page for its body.
fn dress<B>(answer: HttpResponse<B>, template: &impl Template) -> Result<HttpResponse, Problem> {
    let html = template.render().map_err(Problem::internal)?;
    let mut dressed = answer.set_body(html).map_into_boxed_body();
    let headers = dressed.headers_mut();
    headers.insert(CONTENT_TYPE, HTML);
    headers.insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    let (name, value) = ALONE;
    headers.insert(name, value);
    Ok(dressed)
}

/// Has a browser go on to another page, whatever brought it here (RFC 9110, 15.4.4).
fn see_other(location: impl TryIntoHeaderValue) -> Result<HttpResponse, Problem> {
    let location = location
        .try_into_value()
        .map_err(|error| Problem::internal(anyhow::anyhow!("{}", error.into())))?;
    let mut answer = HttpResponse::new(StatusCode::SEE_OTHER);
    answer.headers_mut().insert(LOCATION, location);
    Ok(answer)
}

/// Where whoever just types our name gets to.
pub(super) async fn get_home() -> Result<HttpResponse, Problem> {
    see_other(login::HOME)
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    text: &'a str,
}

/// The query of a link that is good for one form. Others may have added to it.
#[derive(Deserialize)]
pub struct LinkQuery {
    #[serde(default)]
    token: Zeroizing<String>,
}

/// The answer to a link that cannot be used (any more), and how to get a new one.
fn dead_link(text: &str) -> Result<HttpResponse, Problem> {
    let title = "This link cannot be used";
    page(StatusCode::NOT_FOUND, &Message { title, text })
}

/// The answer to a form that was reached by a link: what has been done, or the form
/// once more.
fn answer<T: Template>(
    outcome: Result<(), Problem>,
    done: &Message,
    dead: &str,
    form: impl FnOnce(Mistakes) -> T,
) -> Result<HttpResponse, Problem> {
    match outcome {
        Ok(()) => page(StatusCode::OK, done),
        Err(problem) if problem.errors().iter().any(|error| error.field == "token") => {
            dead_link(dead)
        }
        Err(problem) => again(problem, form),
    }
}
