//! Errors as clients see them: RFC 9457 problem details. The one file that maps
//! errors to HTTP, and the one place where a failure is logged.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use super::headers::set_headers;
use crate::accounts;
use crate::store::Unavailable;

/// What went wrong, and for us alone, why.
#[derive(Debug)]
pub(super) struct Problem {
    kind: Kind,
    source: Option<anyhow::Error>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    MalformedJson,
    Unauthenticated,
    InvalidCredentials,
    Forbidden,
    WrongPassword,
    CsrfFailed,
    RegistrationClosed,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    EmailTaken,
    ContentTooLarge,
    UriTooLong,
    UnsupportedMediaType,
    InvalidInput(Vec<FieldError>),
    HeadersTooLarge,
    Internal,
    Unavailable,
    Busy,
}

/// One mistake in a request's body or query.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct FieldError {
    pub(super) field: String,
    pub(super) message: String,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Kind {
    /// Status, code, title and detail. Constant: nothing of a request or of an
    /// error's cause comes back in them.
    #[expect(clippy::too_many_lines, reason = "a table")]
    const fn describe(&self) -> (StatusCode, &'static str, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedJson => (
                S::BAD_REQUEST,
                "malformed_json",
                "Malformed JSON",
                "The request's body is not valid JSON.",
            ),
            Self::Unauthenticated => (
                S::UNAUTHORIZED,
                "unauthenticated",
                "Not logged in",
                "The request carries no session, or one that has ended. Log in.",
            ),
            Self::InvalidCredentials => (
                S::UNAUTHORIZED,
                "invalid_credentials",
                "Wrong credentials",
                "The e-mail address or the password is wrong.",
            ),
            Self::Forbidden => (
                S::FORBIDDEN,
                "forbidden",
                "Forbidden",
                "This session may not do that.",
            ),
            Self::WrongPassword => (
                S::FORBIDDEN,
                "wrong_password",
                "Wrong password",
                "The current password is wrong.",
            ),
            Self::CsrfFailed => (
                S::FORBIDDEN,
                "csrf_failed",
                "Cross-site request refused",
                "A request that changes something must come from this site's own pages.",
            ),
            Self::RegistrationClosed => (
                S::FORBIDDEN,
                "registration_closed",
                "Registration is closed",
                "New accounts are made by an administrator.",
            ),
            Self::NotFound => (
                S::NOT_FOUND,
                "not_found",
                "Not found",
                "There is nothing here, or nothing of yours.",
            ),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method not allowed",
                "This resource does not take that method; Allow lists those it does.",
            ),
            Self::RequestTimeout => (
                S::REQUEST_TIMEOUT,
                "request_timeout",
                "Request timeout",
                "The request's body took too long to arrive.",
            ),
            Self::EmailTaken => (
                S::CONFLICT,
                "email_taken",
                "E-mail address taken",
                "There is an account with this e-mail address.",
            ),
            Self::ContentTooLarge => (
                S::PAYLOAD_TOO_LARGE,
                "content_too_large",
                "Body too large",
                "A request's body may have 64 KiB at most.",
            ),
            Self::UriTooLong => (
                S::URI_TOO_LONG,
                "uri_too_long",
                "URI too long",
                "A request's URI may have 8 KiB at most.",
            ),
            Self::UnsupportedMediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Unsupported media type",
                "The body must be JSON in UTF-8, sent as application/json.",
            ),
            Self::InvalidInput(_) => (
                S::UNPROCESSABLE_ENTITY,
                "invalid_input",
                "Invalid input",
                "The request has mistakes; see errors.",
            ),
            Self::HeadersTooLarge => (
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "Headers too large",
                "A request's headers may have 16 KiB at most.",
            ),
            Self::Internal => (
                S::INTERNAL_SERVER_ERROR,
                "internal",
                "Internal error",
                "Something went wrong on our side.",
            ),
            Self::Unavailable => (
                S::SERVICE_UNAVAILABLE,
                "unavailable",
                "Unavailable",
                "This cannot be answered right now. If it was to change something, it may or may not have been done.",
            ),
            Self::Busy => (
                S::SERVICE_UNAVAILABLE,
                "busy",
                "Busy",
                "Too many log-ins are under way. Try again in a moment.",
            ),
        }
    }

    const fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Unavailable => Some(2),
            Self::Busy => Some(1),
            _ => None,
        }
    }
}

impl Problem {
    /// A failure of ours, with its cause for the log.
    pub(super) fn internal(source: impl Into<anyhow::Error>) -> Self {
        Self {
            kind: Kind::Internal,
            source: Some(source.into()),
        }
    }

    /// A store that does not answer, with its cause for the log.
    pub(super) fn unavailable(source: impl Into<anyhow::Error>) -> Self {
        Self {
            kind: Kind::Unavailable,
            source: Some(source.into()),
        }
    }
}

impl From<Kind> for Problem {
    fn from(kind: Kind) -> Self {
        Self { kind, source: None }
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
            E::WrongPassword => Kind::WrongPassword,
            E::EmailTaken => Kind::EmailTaken,
            E::RegistrationClosed => Kind::RegistrationClosed,
            E::SessionEnded => Kind::Unauthenticated,
            E::CredentialChanged => Kind::Unavailable,
            E::Busy(_) => Kind::Busy,
            E::Unavailable(error) => return error.into(),
        };
        kind.into()
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind.describe().1)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.describe().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, code, title, detail) = self.kind.describe();
        if let Some(source) = &self.source {
            tracing::error!(code, error = format!("{source:#}"), "the request failed");
        }
        let errors = match &self.kind {
            Kind::InvalidInput(errors) => errors.as_slice(),
            _ => &[],
        };
        let mut response = HttpResponse::build(status);
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Cookie realm=\"gatelodge\""));
        }
        if let Some(seconds) = self.kind.retry_after_seconds() {
            response.insert_header((RETRY_AFTER, seconds));
        }
        let mut response = response.json(Document {
            r#type: format!("/problems/{code}"),
            title,
            status: status.as_u16(),
            detail,
            code,
            errors,
        });
        set_headers(response.headers_mut());
        response
    }
}
