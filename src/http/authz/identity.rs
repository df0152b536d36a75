//! What a request that passes tells the app: whose it is, and the client's cookies
//! without ours. Every header is in every such answer, empty if it has nothing to
//! say, so that a proxy that copies them leaves none of the client's own.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use uuid::Uuid;

use crate::config::HeaderStyle;
use crate::domain::session::Record;
use crate::http::cookie;
use crate::http::problem::Problem;

/// What a header is called, and what is in it.
type Header = (HeaderName, fn(&Record) -> Told<'_>);

enum Told<'a> {
    Id(Uuid),
    Text(&'a str),
    Word(&'static str),
}

#[derive(Clone, Copy)]
pub(in crate::http) struct IdentityHeaders(&'static [Header]);

static REMOTE: [Header; 5] = [
    (HeaderName::from_static("remote-user"), user_id),
    (HeaderName::from_static("remote-email"), email),
    (HeaderName::from_static("remote-name"), name),
    (HeaderName::from_static("remote-groups"), role),
    (HeaderName::from_static("remote-session"), session_id),
];

static X_AUTH_REQUEST: [Header; 4] = [
    (HeaderName::from_static("x-auth-request-user"), user_id),
    (HeaderName::from_static("x-auth-request-email"), email),
    (
        HeaderName::from_static("x-auth-request-preferred-username"),
        name,
    ),
    (HeaderName::from_static("x-auth-request-groups"), role),
];

const fn user_id(record: &Record) -> Told<'_> {
    Told::Id(record.session.user_id.as_uuid())
}

fn email(record: &Record) -> Told<'_> {
    Told::Text(record.email.as_str())
}

fn name(record: &Record) -> Told<'_> {
    Told::Text(record.name.as_str())
}

const fn role(record: &Record) -> Told<'_> {
    Told::Word(record.role.as_str())
}

/// The public one, which opens nothing.
const fn session_id(record: &Record) -> Told<'_> {
    Told::Id(record.session.id.as_uuid())
}

/// What is not ASCII is encoded in any case; the percent sign, so that it can be undone.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

impl Told<'_> {
    fn value(self) -> Result<HeaderValue, Problem> {
        let mut id_in_text = Uuid::encode_buffer();
        let text: Cow<'_, str> = match self {
            Self::Id(id) => Cow::Borrowed(id.hyphenated().encode_lower(&mut id_in_text)),
            Self::Text(text) => utf8_percent_encode(text, ENCODED).into(),
            Self::Word(word) => return Ok(HeaderValue::from_static(word)),
        };
        HeaderValue::from_str(&text).map_err(Problem::internal)
    }
}

impl IdentityHeaders {
    pub(in crate::http) const fn new(style: HeaderStyle) -> Self {
        match style {
            HeaderStyle::Remote => Self(&REMOTE),
            HeaderStyle::XAuthRequest => Self(&X_AUTH_REQUEST),
        }
    }

    /// The answer that lets a request pass that came with such headers.
    pub(super) fn pass(
        self,
        record: Option<&Record>,
        headers: &HeaderMap,
    ) -> Result<HttpResponse, Problem> {
        let mut answer = HttpResponse::new(StatusCode::OK);
        let told = answer.headers_mut();
        for (name, of) in self.0 {
            let value = record.map_or(Told::Word(""), of).value()?;
            told.insert(name.clone(), value);
        }
        let cookies = HeaderValue::try_from(cookie::others(headers));
        told.insert(COOKIE, cookies.map_err(Problem::internal)?);
        Ok(answer)
    }
}
