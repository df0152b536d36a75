//! Pages for people: rendered here, without JavaScript and without anything from
//! elsewhere.

pub(super) mod docs;
pub(super) mod password;
pub(super) mod problems;
pub(super) mod setup;
pub(super) mod style;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType};
use askama::Template;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::headers::PAGE_POLICY;
use super::problem::{FieldError, Kind, Problem};

fn page(status: StatusCode, template: &impl Template) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::build(status)
        .insert_header(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .body(template.render().map_err(Problem::internal)?))
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    text: &'a str,
}

/// What a link has in it that is good for one form. Others may have added to it.
#[derive(Deserialize)]
pub struct Parameters {
    #[serde(default)]
    token: Zeroizing<String>,
}

/// The answer to a link that cannot be used (any more).
fn dead_link() -> Result<HttpResponse, Problem> {
    let message = Message {
        title: "This link cannot be used",
        text: "It was used already, or replaced by a newer one, or it is over an hour old. \
               Ask for a new one.",
    };
    page(StatusCode::NOT_FOUND, &message)
}

/// The answer to a form that was reached by a link: what has been done, or the form
/// once more, with what is wrong in it.
fn answer<T: Template>(
    outcome: Result<(), Problem>,
    done: &Message,
    again: impl FnOnce(Vec<FieldError>) -> T,
) -> Result<HttpResponse, Problem> {
    let errors = match outcome {
        Ok(()) => return page(StatusCode::OK, done),
        Err(problem) => mistakes(problem)?,
    };
    if mistake(&errors, "token").is_some() {
        return dead_link();
    }
    page(StatusCode::UNPROCESSABLE_ENTITY, &again(errors))
}

/// What is wrong with a form, if that is something its user can put right.
fn mistakes(problem: Problem) -> Result<Vec<FieldError>, Problem> {
    match problem.kind() {
        Kind::InvalidInput => Ok(problem.into_errors()),
        Kind::EmailTaken => Ok(vec![FieldError {
            field: "email".to_owned(),
            message: "is taken: there is an account with it".to_owned(),
        }]),
        _ => Err(problem),
    }
}

/// What is wrong with one field of a form.
fn mistake<'a>(errors: &'a [FieldError], field: &str) -> Option<&'a str> {
    let error = errors.iter().find(|error| error.field == field);
    error.map(|error| error.message.as_str())
}
