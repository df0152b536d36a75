use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use super::page;
use crate::http::problem::{Kind, Problem};

#[derive(Template)]
#[template(path = "problem.html")]
struct Explained {
    kind: Kind,
}

/// What the `type` of every problem leads to (RFC 9457, 3.1.1).
pub async fn get_problem(code: Path<String>) -> Result<HttpResponse, Problem> {
    let kind = Kind::ALL.iter().find(|kind| kind.code() == *code);
    let kind = *kind.ok_or(Kind::NotFound)?;
    page(StatusCode::OK, &Explained { kind })
}
