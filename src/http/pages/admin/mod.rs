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
use crate::accounts;
use crate::domain::email::Email;
use crate::http::problem::Problem;
use crate::http::services::Services;

/// Where administrators begin.
pub async fn get_admin() -> Result<HttpResponse, Problem> {
    see_other("/admin/users")
}

/// Puts ids in the place of users' e-mail addresses, since filters go by ids.
///
/// # Errors
/// [`Problem`]; an address that is nobody's is none, and comes back.
async fn name_by_id<const N: usize>(
    services: &Services,
    named: [&mut Option<String>; N],
) -> Result<Option<Email>, Problem> {
    for whom in named {
        let Some(email) = whom.as_deref().and_then(|text| Email::parse(text).ok()) else {
            continue;
        };
        match services.accounts.user_by_email(&email).await {
            Ok(user) => *whom = Some(user.id.to_string()),
            Err(accounts::Error::NotFound) => {
                *whom = None;
                return Ok(Some(email));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
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
