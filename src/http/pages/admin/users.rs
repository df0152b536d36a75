use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;

use crate::domain::user::User;
use crate::http::api::admin::list_users::Parameters;
use crate::http::gate::AdminSession;
use crate::http::pages::done::Asked;
use crate::http::pages::form::{Mistakes, list, listed};
use crate::http::pages::view::{Moment, Viewer, next_page};
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "admin_users.html")]
struct UsersPage<'a> {
    viewer: Viewer,
    notice: Option<&'static str>,
    mistakes: Mistakes,
    search: &'a str,
    users: Vec<User>,
    next: Option<String>,
}

pub async fn get_users(
    admin: AdminSession,
    services: Data<Services>,
    Asked(parameters, notice): Asked<Parameters>,
) -> Result<HttpResponse, Problem> {
    let search = parameters.search.as_deref();
    let (found, mistakes) = listed(parameters.list(&services).await)?;
    let shown = UsersPage {
        viewer: admin.into(),
        notice,
        mistakes,
        search: search.unwrap_or_default(),
        users: found.items,
        next: next_page("/admin/users", [("search", search)], found.next),
    };
    list(&shown.mistakes, &shown)
}
