//! The API's description, for programs and for people.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde_json::{Map, Value};
use utoipa::openapi::OpenApi;

use super::page;
use crate::http::openapi::openapi;
use crate::http::problem::{Kind, Problem};
use crate::http::services::Services;

/// Examples nest no deeper than this.
const DEEPEST: usize = 12;

/// In the order in which it is to be read.
static DESCRIPTION: LazyLock<OpenApi> = LazyLock::new(openapi);

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(&*DESCRIPTION).unwrap_or_default());

/// What can be done with a path, in the order in which it is to be read.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// For strings of which nothing but their format is said.
const FORMATS: [(&str, &str); 2] = [
    ("uuid", "01890a5d-ac96-774b-bcce-b302099a8057"),
    ("date-time", "2026-09-21T14:13:20Z"),
];

pub async fn get_openapi(services: Data<Services>) -> Result<HttpResponse, Problem> {
    if !services.shows_docs {
        return Err(Kind::NotFound.into());
    }
    Ok(HttpResponse::Ok().json(&*DESCRIPTION))
}

pub async fn get_docs(services: Data<Services>) -> Result<HttpResponse, Problem> {
    if !services.shows_docs {
        return Err(Kind::NotFound.into());
    }
    page(StatusCode::OK, &Docs::of(&DOCUMENT))
}

#[derive(Template)]
#[template(path = "docs.html")]
struct Docs<'a> {
    version: &'a str,
    groups: Vec<Group<'a>>,
}

struct Group<'a> {
    about: &'a str,
    operations: Vec<Operation<'a>>,
}

struct Operation<'a> {
    id: &'a str,
    method: String,
    path: &'a str,
    summary: &'a str,
    description: &'a str,
    who: &'static str,
    parameters: Vec<Parameter<'a>>,
    body: Option<String>,
    answers: Vec<Answer<'a>>,
}

struct Parameter<'a> {
    name: &'a str,
    place: &'a str,
    description: &'a str,
}

struct Answer<'a> {
    status: &'a str,
    description: &'a str,
    example: Option<String>,
}

impl<'a> Docs<'a> {
    fn of(document: &'a Value) -> Self {
        let group = |tag: &'a Value| Group {
            about: text(&tag["description"]),
            operations: operations(document, &tag["name"]),
        };
        Self {
            version: text(&document["info"]["version"]),
            groups: list(&document["tags"]).iter().map(group).collect(),
        }
    }
}

fn operations<'a>(document: &'a Value, tag: &Value) -> Vec<Operation<'a>> {
    let paths = DESCRIPTION.paths.paths.keys();
    let all = paths.flat_map(|path| {
        let item = &document["paths"][path];
        let operation = move |method| Some((path, method, item.get(method)?));
        METHODS.into_iter().filter_map(operation)
    });
    all.filter(|(_, _, operation)| list(&operation["tags"]).contains(tag))
        .map(|(path, method, operation)| Operation {
            id: text(&operation["operationId"]),
            method: method.to_uppercase(),
            path,
            summary: text(&operation["summary"]),
            description: text(&operation["description"]),
            who: who(operation),
            parameters: list(&operation["parameters"])
                .iter()
                .map(parameter)
                .collect(),
            body: example(document, &operation["requestBody"]),
            answers: entries(&operation["responses"])
                .map(|(status, answer)| Answer {
                    status,
                    description: text(&answer["description"]),
                    example: example(document, answer).filter(|_| status < "400"),
                })
                .collect(),
        })
        .collect()
}

fn who(operation: &Value) -> &'static str {
    let needed = &operation["security"][0];
    match needed["session"].as_array().map(Vec::as_slice) {
        Some([]) => "For who is logged in.",
        Some(_) => "For administrators.",
        None if needed.get("service").is_some() => {
            "For services: Authorization: Bearer, with one of revocations.credentials."
        }
        None => "",
    }
}

fn parameter(parameter: &Value) -> Parameter<'_> {
    Parameter {
        name: text(&parameter["name"]),
        place: text(&parameter["in"]),
        description: text(&parameter["description"]),
    }
}

/// What a body looks like.
fn example(document: &Value, body: &Value) -> Option<String> {
    let (_, content) = entries(&body["content"]).next()?;
    let value = match content.get("example") {
        Some(example) => example.clone(),
        None => example_of(document, &content["schema"], 0),
    };
    serde_json::to_string_pretty(&value).ok()
}

fn example_of(document: &Value, schema: &Value, depth: usize) -> Value {
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if depth == DEEPEST {
        return Value::Null;
    }
    let of = |schema| example_of(document, schema, depth + 1);
    if let Some(name) = text(&schema["$ref"])
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
    {
        return of(&document["components"]["schemas"][name]);
    }
    if let Some(first) = list(&schema["enum"]).first() {
        return first.clone();
    }
    if let Some(first) = list(&schema["oneOf"]).first() {
        return of(first);
    }
    let mut fields = Map::new();
    for part in list(&schema["allOf"]) {
        if let Value::Object(part) = of(part) {
            fields.extend(part);
        }
    }
    let required = list(&schema["required"]);
    for (name, field) in entries(&schema["properties"]) {
        let example = of(field);
        if !example.is_null() || required.iter().any(|required| required == name) {
            fields.insert(name.to_owned(), example);
        }
    }
    if !fields.is_empty() {
        return Value::Object(fields);
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => Value::Array(vec![of(&schema["items"])]),
        Value::String(name) if name == "boolean" => Value::Bool(false),
        Value::String(name) if name == "string" => {
            let known = FORMATS
                .iter()
                .find(|(format, _)| schema["format"] == *format);
            known.map_or(Value::Null, |(_, example)| Value::from(*example))
        }
        _ => Value::Null,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(name, value)| (name.as_str(), value))
}
