//! Bodies and queries, parsed at the edge: all mistakes at once, each with the
//! field it concerns, none with a value that might be a secret.

use std::fmt;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::form_urlencoded;

use super::cross_site;
use super::limits::Body;
use super::problem::{FieldError, Kind, Problem};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Longer names of fields are cut in what comes back.
const MAX_FIELD_NAME: usize = 64;

/// A body of `application/json` with exactly the fields of `T`.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Body(bytes) = body_of(request);
        ready(parse(request, &bytes).map(Json))
    }
}

fn body_of(request: &HttpRequest) -> Body {
    let read = request.extensions().get::<Body>().cloned();
    read.unwrap_or_default()
}

fn parse<T: DeserializeOwned>(request: &HttpRequest, bytes: &[u8]) -> Result<T, Problem> {
    if !is_json(request) || bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(Kind::UnsupportedMediaType.into());
    }
    // The whole text first, which serde_json takes 128 levels deep at most: whatever is
    // malformed is that, and not a mistake in a field before it.
    let json: Value = serde_json::from_slice(bytes).map_err(|_| Kind::MalformedJson)?;
    // serde takes an array for a struct; the contract takes objects only.
    if !json.is_object() {
        return Err(not_an_object());
    }
    // Not from what was parsed, which no longer has what was given twice.
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        Problem::invalid(vec![data_error(&path, &error.into_inner().to_string())])
    })
}

fn not_an_object() -> Problem {
    Problem::invalid(vec![FieldError {
        field: "body".to_owned(),
        message: "must be an object".to_owned(),
    }])
}

fn is_json(request: &HttpRequest) -> bool {
    has_only_type(request, "application/json")
}

fn has_only_type(request: &HttpRequest, expected: &str) -> bool {
    if request.headers().contains_key(CONTENT_ENCODING) {
        return false;
    }
    let mut types = request.headers().get_all(CONTENT_TYPE);
    let (Some(only), None) = (types.next(), types.next()) else {
        return false;
    };
    let text = only.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    parts.next() == Some(expected)
        && parts.all(|parameter| matches!(parameter, "charset=utf-8" | "charset=\"utf-8\""))
}

/// A form of our own pages. Browsers say where a form comes from; one that comes
/// without a word of that is refused, for a form needs no script to be sent from
/// another site.
pub(super) struct Form<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest for Form<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Body(bytes) = body_of(request);
        ready(parse_form(request, &bytes).map(Form))
    }
}

fn parse_form<T: DeserializeOwned>(request: &HttpRequest, bytes: &[u8]) -> Result<T, Problem> {
    if !has_only_type(request, "application/x-www-form-urlencoded") {
        return Err(Kind::UnsupportedMediaType.into());
    }
    // The guard has seen to it that what they say is right.
    if !cross_site::is_from_a_browser(request.headers()) {
        return Err(Kind::CsrfFailed.into());
    }
    serde_urlencoded::from_bytes(bytes)
        .map_err(|error| Problem::invalid(vec![data_error("form", &error.to_string())]))
}

/// A form with nothing in it but its button.
pub(super) struct NoForm;

impl FromRequest for NoForm {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Body(bytes) = body_of(request);
        ready(parse_form(request, &bytes).map(|Nothing {}| Self))
    }
}

/// What the request's path names: by an id, or an address. What is none names nothing.
pub(super) struct Id<T>(pub(super) T);

impl<T: FromStr> FromRequest for Id<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let path = request.match_info();
        let named = path.get("id").or_else(|| path.get("ip"));
        let id = named.and_then(|id| id.parse().ok());
        ready(id.map(Self).ok_or_else(|| Kind::NotFound.into()))
    }
}

/// A query with no parameters but those of `T`.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse_query(request.query_string()))
    }
}

pub(super) fn parse_query<T: DeserializeOwned>(query: &str) -> Result<Query<T>, Problem> {
    let parameters = form_urlencoded::parse(query.as_bytes());
    let parameters = serde_urlencoded::Deserializer::new(parameters);
    let query = serde_path_to_error::deserialize(parameters).map_err(|error| {
        let path = error.path().to_string();
        Problem::invalid(vec![data_error(&path, &error.into_inner().to_string())])
    })?;
    Ok(Query(query))
}

/// serde's messages repeat the value they complain of; only what is expected
/// is passed on.
fn data_error(path: &str, message: &str) -> FieldError {
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let (field, message) = if message.starts_with("unknown field") {
        (quoted, "is not a field of this request".to_owned())
    } else if message.starts_with("duplicate field") {
        (quoted, "is given twice".to_owned())
    } else if message.starts_with("missing field") {
        (quoted, "is missing".to_owned())
    } else if message.starts_with("provided string was not `true` or `false`") {
        (path, "must be true or false".to_owned())
    } else {
        let expected = message.rsplit_once("expected ").map(|(_, rest)| rest);
        let expected = expected.and_then(|rest| rest.split(" at line ").next());
        let must = expected.map(|expected| format!("must be {expected}"));
        (
            path,
            must.unwrap_or_else(|| "is not of the right form".to_owned()),
        )
    };
    let cut = field.floor_char_boundary(MAX_FIELD_NAME);
    FieldError {
        field: field[..cut].to_owned(),
        message,
    }
}

/// A parameter of a query; one that is empty was left out, as forms do it.
pub(super) fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    Ok((!text.is_empty()).then_some(text))
}

/// A field that, if it is there, is not null.
pub(super) fn not_null<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(from).map(Some)
}

/// A field that is an object. (serde would take an array for it as well.)
pub(super) fn object<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    from.deserialize_map(Object(PhantomData)).map(Some)
}

/// The body of a call that takes none: empty, or an empty object.
pub(super) struct NoBody;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl FromRequest for NoBody {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Body(bytes) = body_of(request);
        ready(if bytes.is_empty() {
            Ok(Self)
        } else {
            parse(request, &bytes).map(|Nothing {}| Self)
        })
    }
}

/// Gathers the mistakes of a request while its fields are parsed.
#[derive(Default)]
pub(super) struct Fields {
    inside: &'static str,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The fields that follow are those of an object, itself a field.
    pub(super) const fn inside(&mut self, object: &'static str) {
        self.inside = object;
    }

    /// The value of a field that may be left out; `None` also if it is wrong.
    pub(super) fn optional<T, E: fmt::Display>(
        &mut self,
        field: &'static str,
        given: Option<&String>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        given.and_then(|_| self.parse(field, given, parse))
    }

    pub(super) fn has_mistakes(&self) -> bool {
        !self.errors.is_empty()
    }

    /// # Errors
    /// If there were mistakes: the answer to them.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.has_mistakes() {
            Err(self.into_problem())
        } else {
            Ok(())
        }
    }

    /// The field's value, or `None` and a mistake noted.
    pub(super) fn parse<S: AsRef<str>, T, E: fmt::Display>(
        &mut self,
        field: &'static str,
        given: Option<&S>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Some(given) = given else {
            self.refuse(field, "is missing");
            return None;
        };
        parse(given.as_ref())
            .map_err(|error| self.refuse(field, &error.to_string()))
            .ok()
    }

    pub(super) fn refuse(&mut self, field: &'static str, message: &str) {
        self.errors.push(FieldError {
            field: format!("{}{field}", self.inside),
            message: message.to_owned(),
        });
    }

    /// The answer to a request with mistakes.
    pub(super) fn into_problem(self) -> Problem {
        Problem::invalid(self.errors)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError as _;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::http::api::admin::revoke_sessions;

    /// What a body is made of; a value of somebody's is among it.
    const PIECES: &[&str] = &[
        "{",
        "}",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\u0000",
        "\\ud800",
        "null",
        "true",
        "-1e999",
        "\"hunter2\"",
        "\"hunter2\"",
        "\"filter\":",
        "\"everyone\":",
        "\"ip\":",
        "\"reason\":",
        "\"dry_run\":",
        "\"other\":",
        " ",
    ];

    fn piece((which, other): (u8, u8)) -> Vec<u8> {
        let piece = PIECES.get(usize::from(which) % (PIECES.len() + 1));
        piece.map_or_else(|| vec![other], |piece| piece.as_bytes().to_vec())
    }

    /// A fuzz target.
    #[test]
    fn whatever_a_body_holds_no_value_of_it_comes_back() {
        bolero::check!()
            .with_type::<Vec<(u8, u8)>>()
            .for_each(|pieces: &Vec<(u8, u8)>| {
                let body: Vec<u8> = pieces.iter().copied().flat_map(piece).collect();
                let request = TestRequest::default()
                    .insert_header((CONTENT_TYPE, "application/json"))
                    .to_http_request();
                let Err(problem) = parse::<revoke_sessions::Body>(&request, &body) else {
                    return;
                };
                assert!(problem.status_code().is_client_error());
                for FieldError { field, message } in problem.errors() {
                    let is_unknown = message == "is not a field of this request";
                    assert!(is_unknown || !field.contains("hunter2"), "{field}");
                    assert!(!message.contains("hunter2"), "{message}");
                }
            });
    }
}
