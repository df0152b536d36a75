//! What a request that passes tells the app: whose it is, and the client's cookies
//! without ours. Every header is in every such answer, empty if it has nothing to
//! say, so that a proxy that copies them leaves none of the client's own.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::config::HeaderStyle;
use crate::domain::session::Record;
use crate::http::cookie;
use crate::http::problem::Problem;

/// What a header is called, and what is in it.
type Header = (HeaderName, fn(&Record) -> Cow<'_, str>);

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

fn user_id(record: &Record) -> Cow<'_, str> {
    record.session.user_id.to_string().into()
}

fn email(record: &Record) -> Cow<'_, str> {
    record.email.as_str().into()
}

fn name(record: &Record) -> Cow<'_, str> {
    record.name.as_str().into()
}

fn role(record: &Record) -> Cow<'_, str> {
    record.role.as_str().into()
}

/// The public one, which opens nothing.
fn session_id(record: &Record) -> Cow<'_, str> {
    record.session.id.to_string().into()
}

/// What is not ASCII is encoded in any case; the percent sign, so that it can be undone.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

fn encoded(value: Cow<'_, str>) -> String {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'%';
    if value.bytes().all(is_plain) {
        value.into_owned()
    } else {
        utf8_percent_encode(&value, ENCODED).to_string()
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
        let mut answer = HttpResponse::Ok();
        for (name, value) in self.0 {
            let value = encoded(record.map(value).unwrap_or_default());
            let value = HeaderValue::try_from(value).map_err(Problem::internal)?;
            answer.insert_header((name, value));
        }
        let cookies = HeaderValue::try_from(cookie::others(headers));
        let cookies = cookies.map_err(Problem::internal)?;
        answer.insert_header((COOKIE, cookies));
        Ok(answer.finish())
    }
}
