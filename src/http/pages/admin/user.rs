//! One user, and the buttons that change what they may do.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::PasswordLink;
use crate::accounts::{self, Attempts};
use crate::domain::id::UserId;
use crate::domain::session::Session;
use crate::domain::user::{Role, Status, User};
use crate::http::body::{Fields, Form, Id, NoForm};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::pages::done::{Asked, Done};
use crate::http::pages::form::{Mistakes, again};
use crate::http::pages::page;
use crate::http::pages::view::{Moment, Place, Viewer};
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "admin_user.html")]
struct UserPage<'a> {
    viewer: &'a Viewer,
    notice: Option<&'static str>,
    mistakes: Mistakes,
    user: &'a User,
    attempts: Attempts,
    places: Vec<Place<'a>>,
}

#[derive(Template)]
#[template(path = "admin_delete_user.html")]
struct DeleteForm {
    viewer: Viewer,
    user: User,
}

/// Whoever is none yet is to be made an administrator, and the other way round.
#[derive(Template)]
#[template(path = "admin_user_role.html")]
struct RoleForm {
    viewer: Viewer,
    user: User,
}

/// Others may have added to its address.
#[derive(Deserialize)]
pub struct Parameters {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    role: String,
}

/// A user as administrators see them.
struct Dossier {
    viewer: Viewer,
    user: User,
    attempts: Attempts,
    sessions: Vec<Session>,
}

impl Dossier {
    async fn open(services: &Services, admin: AdminSession, user: UserId) -> Result<Self, Problem> {
        Ok(Self {
            viewer: admin.into(),
            user: services.accounts.user(user).await?,
            attempts: services.accounts.attempts_at(user).await?,
            sessions: services.sessions.list(user).await?,
        })
    }

    fn page(&self, notice: Option<&'static str>, mistakes: Mistakes) -> UserPage<'_> {
        UserPage {
            viewer: &self.viewer,
            notice,
            mistakes,
            user: &self.user,
            attempts: self.attempts,
            places: Place::all(&self.sessions, &self.viewer),
        }
    }
}

pub async fn get_user(
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    Asked(_, notice): Asked<Parameters>,
) -> Result<HttpResponse, Problem> {
    let dossier = Dossier::open(&services, admin, user).await?;
    page(StatusCode::OK, &dossier.page(notice, Mistakes::default()))
}

pub async fn lock_user(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    _: NoForm,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    match services
        .accounts
        .set_status(user, Status::Locked, act)
        .await
    {
        Ok(_) => Done::Locked.told_at(&address(user)),
        Err(refused) => refuse(refused, &services, admin, user).await,
    }
}

pub async fn unlock_user(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    _: NoForm,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    match services
        .accounts
        .set_status(user, Status::Active, act)
        .await
    {
        Ok(_) => Done::Unlocked.told_at(&address(user)),
        Err(refused) => refuse(refused, &services, admin, user).await,
    }
}

pub async fn clear_attempts(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    _: NoForm,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    services.accounts.clear_attempts_at(user, act).await?;
    Done::AttemptsCleared.told_at(&address(user))
}

pub async fn get_role(
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
) -> Result<HttpResponse, Problem> {
    let user = services.accounts.user(user).await?;
    let form = RoleForm {
        viewer: admin.into(),
        user,
    };
    page(StatusCode::OK, &form)
}

pub async fn set_role(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    Form(body): Form<NewRole>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::default();
    let Some(role) = fields.parse("role", Some(&body.role), Role::parse) else {
        return Err(fields.into_problem());
    };
    let act = act_of(&request, &services, admin.user().id);
    match services.accounts.set_role(user, role, act).await {
        Ok(_) => Done::RoleChanged.told_at(&address(user)),
        Err(refused) => refuse(refused, &services, admin, user).await,
    }
}

pub async fn end_sessions(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    _: NoForm,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    let user = services.accounts.user(user).await?.id;
    services.sessions.revoke_all(user, None, act).await?;
    Done::AllEnded.told_at(&address(user))
}

pub async fn issue_password_link(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    _: NoForm,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    let user = services.accounts.user(user).await?;
    let link = services.accounts.issue_password_link(user.id, act).await?;
    page(
        StatusCode::OK,
        &PasswordLink {
            viewer: admin.into(),
            email: user.email.as_str(),
            link: &services.links.password(&link.token),
            expires: Moment(link.expires_at),
        },
    )
}

pub async fn get_delete_user(
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
) -> Result<HttpResponse, Problem> {
    let user = services.accounts.user(user).await?;
    let form = DeleteForm {
        viewer: admin.into(),
        user,
    };
    page(StatusCode::OK, &form)
}

pub async fn delete_user(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(user): Id<UserId>,
    _: NoForm,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    match services.accounts.delete_user(user, act).await {
        Ok(_) => Done::UserDeleted.told_at("/admin/users"),
        Err(refused) => refuse(refused, &services, admin, user).await,
    }
}

fn address(user: UserId) -> String {
    format!("/admin/users/{user}")
}

/// The user's page again, with why a button that was pressed there did nothing.
async fn refuse(
    refused: accounts::Error,
    services: &Services,
    admin: AdminSession,
    user: UserId,
) -> Result<HttpResponse, Problem> {
    let dossier = Dossier::open(services, admin, user).await?;
    again(refused.into(), |mistakes| dossier.page(None, mistakes))
}
