//! Ending many sessions: first what it would end, then the button.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::Outcome;
use crate::domain::email::Email;
use crate::domain::id::UserId;
use crate::http::api::admin::revoke_sessions::{Body, Filter};
use crate::http::body::{Form, Query, given};
use crate::http::gate::AdminSession;
use crate::http::pages::form::{Mistakes, again};
use crate::http::pages::view::Viewer;
use crate::http::pages::{page, see_other};
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "admin_end_sessions.html")]
struct EndForm<'a> {
    viewer: Viewer,
    mistakes: Mistakes,
    chosen: &'a Chosen,
    /// The e-mail address of the user whose they are.
    whose: Option<Email>,
    /// How many sessions it would end; with everyone, nobody counts.
    matched: Option<usize>,
}

impl EndForm<'_> {
    /// What was chosen, for people.
    fn facts(&self) -> impl Iterator<Item = (&str, &str)> {
        let whose = self.whose.as_ref().map(Email::as_str);
        self.chosen.filter().map(move |(name, value)| {
            let shown = whose.filter(|_| name == "user_id").unwrap_or(value);
            (Mistakes::label(name), shown)
        })
    }
}

/// Which sessions, and why.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Chosen {
    #[serde(deserialize_with = "given")]
    user_id: Option<String>,
    #[serde(deserialize_with = "given")]
    ip: Option<String>,
    #[serde(deserialize_with = "given")]
    user_agent: Option<String>,
    #[serde(deserialize_with = "given")]
    issued_after: Option<String>,
    #[serde(deserialize_with = "given")]
    issued_before: Option<String>,
    #[serde(deserialize_with = "given")]
    last_seen_before: Option<String>,
    everyone: Option<bool>,
    #[serde(deserialize_with = "given")]
    reason: Option<String>,
}

pub async fn preview(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Query(chosen): Query<Chosen>,
) -> Result<HttpResponse, Problem> {
    let body = chosen.as_body(true);
    let counted = body.revoke(&request, &services, &admin).await;
    match counted.map(|counted| counted.matched) {
        Ok(matched) => page(
            StatusCode::OK,
            &EndForm {
                viewer: admin.into(),
                mistakes: Mistakes::default(),
                chosen: &chosen,
                whose: chosen.whose(&services).await,
                matched,
            },
        ),
        Err(problem) => ask_again(problem, &chosen, admin, &services).await,
    }
}

pub async fn end_sessions(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Form(chosen): Form<Chosen>,
) -> Result<HttpResponse, Problem> {
    let body = chosen.as_body(false);
    let ended = body.revoke(&request, &services, &admin).await;
    match ended.map(|ended| ended.revoked) {
        Ok(Some(revoked)) => page(
            StatusCode::OK,
            &Outcome {
                viewer: admin.into(),
                title: "Sessions ended",
                text: &format!(
                    "{revoked} ended. Within a second, no instance accepts them any more."
                ),
                next: "/admin/sessions",
            },
        ),
        // Everyone's, the one that asked included.
        Ok(None) => see_other("/login"),
        Err(problem) => ask_again(problem, &chosen, admin, &services).await,
    }
}

async fn ask_again(
    problem: Problem,
    chosen: &Chosen,
    admin: AdminSession,
    services: &Services,
) -> Result<HttpResponse, Problem> {
    let whose = chosen.whose(services).await;
    again(problem, |mistakes| EndForm {
        viewer: admin.into(),
        mistakes,
        chosen,
        whose,
        matched: None,
    })
}

impl Chosen {
    /// The address is only shown: what can be done without it goes on.
    async fn whose(&self, services: &Services) -> Option<Email> {
        let id: UserId = self.user_id.as_deref()?.parse().ok()?;
        let mut found = services.accounts.users_among([id]).await.ok()?;
        found.remove(&id).map(|user| user.email)
    }

    fn as_body(&self, dry_run: bool) -> Body {
        let filter = Filter {
            user_id: self.user_id.clone(),
            ip: self.ip.clone(),
            user_agent: self.user_agent.clone(),
            issued_before: self.issued_before.clone(),
            issued_after: self.issued_after.clone(),
            last_seen_before: self.last_seen_before.clone(),
            everyone: self.everyone,
        };
        Body {
            filter: Some(filter),
            reason: self.reason.clone(),
            dry_run,
        }
    }

    /// As it was chosen, for the form.
    fn filter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("user_id", &self.user_id),
            ("ip", &self.ip),
            ("user_agent", &self.user_agent),
            ("issued_after", &self.issued_after),
            ("issued_before", &self.issued_before),
            ("last_seen_before", &self.last_seen_before),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    const fn is_everyone(&self) -> bool {
        matches!(self.everyone, Some(true))
    }
}
