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
    whole: Option<&'static str>,
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
    let nothing = Page {
        items: Vec::new(),
        next: None,
    };
    match outcome {
        Ok(page) => Ok((page, Mistakes::default())),
        Err(problem) => match Mistakes::of(&problem) {
            Some(mistakes) => Ok((nothing, mistakes)),
            None => Err(problem),
        },
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
            Kind::InvalidInput => (problem.errors().to_vec(), None),
            Kind::EmailTaken => {
                let taken = mistake("email", "is taken: there is an account with it");
                (vec![taken], None)
            }
            kind @ (Kind::InvalidCredentials
            | Kind::WrongPassword
            | Kind::TooManyAttempts
            | Kind::LastAdmin
            | Kind::Busy
            | Kind::Unavailable) => (Vec::new(), Some(kind.detail())),
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
    pub(super) const fn of_all(&self) -> Option<&'static str> {
        self.whole
    }
}

/// What to choose for a password.
pub(super) fn advice(policy: &PasswordPolicy) -> String {
    let min_length = policy.min_length();
    format!("{min_length} characters at least. A few words that mean nothing together are good.")
}

fn mistake(field: &str, message: &str) -> FieldError {
    FieldError {
        field: field.to_owned(),
        message: message.to_owned(),
    }
}
