//! Problems as people see them: a page that says what is wrong and what to do; and
//! who is not logged in is sent to where they can log in.

use actix_web::body::{BoxBody, MessageBody as _};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderValue, VARY};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};
use askama::Template;
use url::form_urlencoded;

use super::done::page_before;
use super::login::HOME;
use super::{dress, see_other};
use crate::http::client::id_of;
use crate::http::edge::Early;
use crate::http::headers::{accepts_html, set_request_id};
use crate::http::problem::{Kind, Problem};
use crate::http::return_to;
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "sorry.html")]
struct Sorry {
    kind: Kind,
    text: &'static str,
}

/// Wraps a page's route. Who does not ask for a page is answered as by the API, and so
/// is who asks the API.
pub(in crate::http) async fn explain(
    services: Data<Services>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    if !accepts_html(request.headers()) || request.path().starts_with("/api/") {
        return next.call(request).await;
    }
    let (back, id) = (way_back(&request, &services), id_of(request.request()));
    match next.call(request).await {
        Ok(response) => match kind_of(response.response()) {
            Some(kind) => {
                let (request, answer) = response.into_parts();
                let mut page = sorry(&services, kind, answer, back)?;
                set_request_id(page.headers_mut(), id);
                Ok(ServiceResponse::new(request, page))
            }
            None => Ok(response),
        },
        Err(error) => {
            let answer = HttpResponse::from_error(error);
            let kind = kind_of(&answer).unwrap_or(Kind::Internal);
            let mut page = sorry(&services, kind, answer, back)?;
            set_request_id(page.headers_mut(), id);
            Err(InternalError::from_response(Problem::from(kind), page).into())
        }
    }
}

fn sorry(
    services: &Services,
    kind: Kind,
    answer: HttpResponse,
    back: Option<String>,
) -> Result<HttpResponse, Problem> {
    let mut page = match kind {
        Kind::Unauthenticated => see_other(login_for(back))?,
        kind => {
            let (answer, rest) = answer.into_parts();
            let text = text_of(kind);
            let page = dress(answer, &Sorry { kind, text })?;
            page.map_body(|_, answer| Early { answer, rest }.boxed())
        }
    };
    services.edge.set_headers(page.headers_mut());
    page.headers_mut()
        .append(VARY, HeaderValue::from_static("accept"));
    Ok(page)
}

/// What there is to say to somebody who only uses the pages.
const fn text_of(kind: Kind) -> &'static str {
    match kind {
        Kind::NotFound => "There is nothing at this address, or nothing of yours.",
        Kind::Forbidden => "Only administrators may see this.",
        Kind::RegistrationClosed => "New accounts are made by an administrator. Ask for one.",
        Kind::CsrfFailed => {
            "The form did not come from one of our own pages. Go back, and send it from there."
        }
        Kind::Unavailable => {
            "This cannot be done right now, and may or may not have been done. Look again in a moment."
        }
        Kind::Busy => "Too many people are logging in. Try again in a moment.",
        Kind::MethodNotAllowed => {
            "This address only takes a form. Go back to the page that it is on."
        }
        Kind::Internal => "Something went wrong on our side. It is written down.",
        _ => "The request was not one that our pages make. Go back, and try it from there.",
    }
}

/// Where to return to after logging in: the page asked for, or the one whose form
/// was sent.
fn way_back(request: &ServiceRequest, services: &Services) -> Option<String> {
    let back = if request.method().is_safe() {
        request.uri().path_and_query().map(ToString::to_string)
    } else {
        Some(page_before(request.request(), services, HOME))
    };
    back.filter(|back| back.len() <= return_to::LONGEST)
}

fn login_for(back: Option<String>) -> String {
    let Some(back) = back else {
        return "/login".to_owned();
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    format!("/login?{}", query.append_pair("return_to", &back).finish())
}

fn kind_of(answer: &HttpResponse) -> Option<Kind> {
    answer.error()?.as_error::<Problem>().map(Problem::kind)
}
