//! A form that comes back to who has sent it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError as _};
use askama::Template;

use super::{dress, page};
use crate::domain::page::Page;
use crate::domain::password::PasswordPolicy;
use crate::http::problem::{FieldError, Kind, Problem};

/// What is wrong with a form as it was sent; nothing, with one that is still empty.
#[derive(Default)]
pub(super) struct Mistakes {
    fields: Vec<FieldError>,
    whole: Option<String>,
}

/// The form once more, with what is wrong in it.
///
/// # Errors
/// The problem again, if it is none that who sent the form can put right.
pub(super) fn again<T: Template>(
    problem: Problem,
    form: impl FnOnce(Mistakes) -> T,
) -> Result<HttpResponse, Problem> {
    match Mistakes::of(&problem) {
        Some(mistakes) => dress(problem.error_response(), &form(mistakes)),
        None => Err(problem),
    }
}

/// A page of a list; or an empty one, with what is wrong with the filter.
///
/// # Errors
/// The problem again, if it is none that who asked can put right.
pub(super) fn listed<T, Id>(
    outcome: Result<Page<T, Id>, Problem>,
) -> Result<(Page<T, Id>, Mistakes), Problem> {
    match outcome {
        Ok(page) => Ok((page, Mistakes::default())),
        Err(problem) => match Mistakes::of(&problem) {
            Some(mistakes) => Ok((nothing(), mistakes)),
            None => Err(problem),
        },
    }
}

pub(super) const fn nothing<T, Id>() -> Page<T, Id> {
    Page {
        items: Vec::new(),
        next: None,
    }
}

/// The answer with a list, or with what is wrong with its filter.
pub(super) fn list(mistakes: &Mistakes, list: &impl Template) -> Result<HttpResponse, Problem> {
    let status = if mistakes.are_none() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    page(status, list)
}

impl Mistakes {
    fn of(problem: &Problem) -> Option<Self> {
        let (fields, whole) = match problem.kind() {
            Kind::InvalidInput => (problem.errors().iter().map(in_our_words).collect(), None),
            Kind::EmailTaken => {
                let taken = mistake("email", "is taken: there is an account with it");
                (vec![taken], None)
            }
            Kind::TooManyAttempts => (Vec::new(), Some(too_many_attempts(problem.retry_after()))),
            kind @ (Kind::InvalidCredentials
            | Kind::WrongPassword
            | Kind::LastAdmin
            | Kind::Busy
            | Kind::Unavailable) => (Vec::new(), Some(kind.detail().to_owned())),
            _ => return None,
        };
        Some(Self { fields, whole })
    }

    pub(super) const fn are_none(&self) -> bool {
        self.fields.is_empty() && self.whole.is_none()
    }

    /// What is wrong with one field: the end of a sentence about it.
    pub(super) fn of_field(&self, name: &str) -> Option<&str> {
        let error = self.fields.iter().find(|error| error.field == name);
        error.map(|error| error.message.as_str())
    }

    /// What is wrong with any field.
    pub(super) fn of_fields(&self) -> &[FieldError] {
        &self.fields
    }

    /// What is wrong with the form as a whole.
    pub(super) fn of_all(&self) -> Option<&str> {
        self.whole.as_deref()
    }

    /// What people read of a field, on the form and in what is wrong with it.
    pub(super) fn label(field: &str) -> &str {
        match field {
            "email" => "E-mail address",
            "name" => "Name",
            "password" => "Password",
            "current_password" => "Current password",
            "new_password" => "New password",
            "role" => "Role",
            "reason" => "Reason",
            "search" => "Name or e-mail address",
            "user_id" => "User",
            "ip" => "IP address",
            "user_agent" => "Device contains",
            "issued_after" => "Logged in after (UTC)",
            "issued_before" => "Logged in before (UTC)",
            "last_seen_before" => "Not seen since (UTC)",
            "actor" => "Who did it",
            "subject" => "Whom it concerned",
            "action" => "What was done",
            "filter" => "The filter",
            other => other,
        }
    }
}

/// Pages take more than the API does, and a filter's fields for fields of their own.
fn in_our_words(error: &FieldError) -> FieldError {
    if let Some(field) = error.field.strip_prefix("filter.") {
        return mistake(field, &error.message);
    }
    let message = match &*error.field {
        "user_id" | "subject" => "must be the e-mail address or the id of a user",
        "actor" => "must be the e-mail address or the id of a user, or operator",
        _ => &error.message,
    };
    mistake(&error.field, message)
}

fn too_many_attempts(retry_after: Option<u128>) -> String {
    let when = match retry_after.unwrap_or_default().div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    format!("Too many wrong passwords. Try again in {when}.")
}

/// What to choose for a password.
pub(super) fn advice(policy: &PasswordPolicy) -> String {
    let min_length = policy.min_length();
    format!("{min_length} characters at least. Several unrelated words make a good password.")
}

fn mistake(field: &str, message: &str) -> FieldError {
    FieldError {
        field: field.to_owned(),
        message: message.to_owned(),
    }
}
