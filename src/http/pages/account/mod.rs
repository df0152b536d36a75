//! A user's own pages.

pub(in crate::http) mod delete;
pub(in crate::http) mod email;
pub(in crate::http) mod name;
pub(in crate::http) mod password;
pub(in crate::http) mod sessions;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::done::Asked;
use super::page;
use super::view::{Place, Viewer};
use crate::domain::user::User;
use crate::http::gate::CurrentSession;
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    viewer: &'a Viewer,
    notice: Option<&'static str>,
    user: User,
    places: Vec<Place<'a>>,
}

/// Others may have added to its address.
#[derive(Deserialize)]
pub struct Parameters {}

/// Who one is, and where one is logged in. From the ledger: a copy may be older than
/// what the page before has changed.
pub async fn get_account(
    current: CurrentSession,
    services: Data<Services>,
    Asked(_, notice): Asked<Parameters>,
) -> Result<HttpResponse, Problem> {
    let id = current.session().user_id;
    let (user, sessions) = (
        services.accounts.user(id).await?,
        services.sessions.list(id).await?,
    );
    let viewer = Viewer::from(current);
    let account = AccountPage {
        notice,
        user,
        places: Place::all(&sessions, &viewer),
        viewer: &viewer,
    };
    page(StatusCode::OK, &account)
}
