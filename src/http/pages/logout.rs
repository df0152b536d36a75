use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::done::Done;
use crate::http::api::logout::{self, CLEAR_SITE_DATA};
use crate::http::body::NoForm;
use crate::http::problem::Problem;
use crate::http::services::Services;

pub async fn log_out(
    request: HttpRequest,
    services: Data<Services>,
    _: NoForm,
) -> Result<HttpResponse, Problem> {
    logout::log_out(&request, &services).await?;
    let mut answer = Done::LoggedOut.told_at("/login")?;
    let (name, value) = CLEAR_SITE_DATA;
    answer.headers_mut().insert(name, value);
    Ok(answer)
}
