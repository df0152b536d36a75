//! The administrators' pages.

pub(in crate::http) mod end_sessions;
pub(in crate::http) mod events;
pub(in crate::http) mod new_user;
pub(in crate::http) mod sessions;
pub(in crate::http) mod user;
pub(in crate::http) mod users;

use actix_web::HttpResponse;
use askama::Template;

use super::see_other;
use super::view::{Moment, Viewer};
use crate::http::problem::Problem;

/// Where administrators begin.
pub async fn get_admin() -> Result<HttpResponse, Problem> {
    see_other("/admin/users")
}

/// What has become of a button that leaves nothing to go back to.
#[derive(Template)]
#[template(path = "admin_outcome.html")]
struct Outcome<'a> {
    viewer: Viewer,
    title: &'a str,
    text: &'a str,
    next: &'a str,
}

/// A link that sets a password: shown once, to be handed to its user.
#[derive(Template)]
#[template(path = "admin_password_link.html")]
struct PasswordLink<'a> {
    viewer: Viewer,
    email: &'a str,
    link: &'a str,
    expires: Moment,
}
