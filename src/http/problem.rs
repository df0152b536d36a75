//! Errors as clients see them: RFC 9457 problem details. The one file that maps
//! errors to HTTP, and the one place where a failure is logged.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use tracing::field;
use utoipa::ToSchema;

use super::headers::set_headers;
pub(super) use super::kind::Kind;
use crate::accounts;
use crate::store::Unavailable;
use crate::telemetry::request::unseen;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Cookie realm=\"gatelodge\"");
/// RFC 6750, 3.
const SERVICE_CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"gatelodge\"");

/// What went wrong, and for us alone, why.
#[derive(Debug)]
pub(super) struct Problem {
    kind: Kind,
    errors: Vec<FieldError>,
    /// If it is not the same for all of its kind.
    retry_after: Option<Duration>,
    /// Told once.
    source: RefCell<Option<anyhow::Error>>,
}

/// One mistake in a request's body or query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct FieldError {
    #[schema(example = "email")]
    pub(super) field: String,
    #[schema(example = "is missing")]
    pub(super) message: String,
}

/// What every error looks like (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document<'a> {
    /// Leads to a page that explains the problem.
    #[schema(example = "/problems/invalid_input")]
    r#type: &'static str,
    #[schema(example = "Invalid input")]
    title: &'static str,
    /// The answer's status.
    #[schema(example = 422)]
    status: u16,
    #[schema(example = "The request has mistakes; see errors.")]
    detail: &'static str,
    /// For programs to tell problems by: one of `ProblemCode`, or of a later version.
    #[schema(example = "invalid_input")]
    code: &'static str,
    /// The mistakes in a request's body or query; with 422 only.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

/// The document of each kind without mistakes, in the order of [`Kind::ALL`]. Made
/// once: a forged cookie must not cost more than a session.
static PLAIN: LazyLock<Vec<Bytes>> =
    LazyLock::new(|| Kind::ALL.iter().map(|kind| render(*kind, &[])).collect());

fn render(kind: Kind, errors: &[FieldError]) -> Bytes {
    #[expect(clippy::expect_used, reason = "it is made of strings and numbers")]
    serde_json::to_vec(&Document {
        r#type: kind.uri(),
        title: kind.title(),
        status: kind.status().as_u16(),
        detail: kind.detail(),
        code: kind.code(),
        errors,
    })
    .expect("it can be JSON")
    .into()
}

impl Problem {
    /// A failure of ours, with its cause for the log.
    pub(super) fn internal(source: impl Into<anyhow::Error>) -> Self {
        Self {
            source: RefCell::new(Some(source.into())),
            ..Kind::Internal.into()
        }
    }

    /// A store that does not answer, with its cause for the log.
    pub(super) fn unavailable(source: impl Into<anyhow::Error>) -> Self {
        Self {
            source: RefCell::new(Some(source.into())),
            ..Kind::Unavailable.into()
        }
    }

    /// A request with mistakes.
    pub(super) fn invalid(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Kind::InvalidInput.into()
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    fn document(&self) -> Bytes {
        if self.errors.is_empty() {
            PLAIN[self.kind as usize].clone()
        } else {
            render(self.kind, &self.errors)
        }
    }

    /// Writes down, inside the request's span, what it was.
    pub(super) fn tell(&self) {
        let code = self.kind.code();
        tracing::Span::current().record("problem", field::display(code));
        if let Some(source) = self.source.take() {
            let request_id = unseen().map(field::display);
            tracing::error!(
                request_id,
                code,
                error = format!("{source:#}"),
                "the request failed"
            );
        }
    }

    pub(super) fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// In how many seconds to try again, if that can be said. Rounded up: a moment too
    /// soon would be in vain.
    pub(super) fn retry_after(&self) -> Option<u128> {
        let after = self.retry_after.or(self.kind.retry_after())?;
        Some(after.as_millis().div_ceil(1000))
    }
}

impl From<Kind> for Problem {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            errors: Vec::new(),
            retry_after: None,
            source: RefCell::default(),
        }
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        Self::unavailable(error)
    }
}

impl From<accounts::Error> for Problem {
    fn from(error: accounts::Error) -> Self {
        use accounts::Error as E;
        let kind = match error {
            E::InvalidCredentials => Kind::InvalidCredentials,
            E::InvalidToken => Kind::InvalidToken,
            E::WrongPassword => Kind::WrongPassword,
            E::EmailTaken => Kind::EmailTaken,
            E::RegistrationClosed => Kind::RegistrationClosed,
            E::SessionEnded => Kind::Unauthenticated,
            E::CredentialChanged => Kind::Unavailable,
            E::NotFound => Kind::NotFound,
            E::LastAdmin => Kind::LastAdmin,
            E::InvalidLink(error) => {
                return Self::invalid(vec![FieldError {
                    field: "token".to_owned(),
                    message: error.to_string(),
                }]);
            }
            E::TooManyAttempts { retry_after } => {
                return Self {
                    retry_after: Some(retry_after),
                    ..Kind::TooManyAttempts.into()
                };
            }
            E::Busy(_) => Kind::Busy,
            E::Unavailable(error) => return error.into(),
        };
        kind.into()
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind.code())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.tell();
        let status = self.kind.status();
        let mut response = HttpResponse::build(status);
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = match self.kind {
                Kind::UnknownService => SERVICE_CHALLENGE,
                _ => CHALLENGE,
            };
            response.insert_header((WWW_AUTHENTICATE, challenge));
        }
        if let Some(seconds) = self.retry_after() {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        let mut response = response.body(self.document());
        set_headers(response.headers_mut());
        response
    }
}
