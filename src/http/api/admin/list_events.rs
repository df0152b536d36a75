use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::audit::{Action, Actor, EventFilter, Recorded};
use crate::domain::id::EventId;
use crate::domain::page::Page;
use crate::http::body::{Fields, Query, given};
use crate::http::listing::{page_of, user_id};
use crate::http::problem::Problem;
use crate::http::representation::EventsBody;
use crate::http::services::Services;

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// Who did it: a user's id, or `operator`.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String)]
    pub(in crate::http) actor: Option<String>,
    /// Whom it concerned: a user's id.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String, format = Uuid)]
    pub(in crate::http) subject: Option<String>,
    /// What was done, such as `logged_in`.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String)]
    pub(in crate::http) action: Option<String>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String)]
    cursor: Option<String>,
    /// How many at most, 1 to 200.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = u16, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
}

/// What was done, the latest first
#[utoipa::path(
    get, path = "/api/admin/events", tag = "events", params(Parameters),
    responses((status = 200, body = EventsBody)), security(("session" = ["admin"])),
)]
pub async fn list_events(
    services: Data<Services>,
    Query(parameters): Query<Parameters>,
) -> Result<HttpResponse, Problem> {
    let page = parameters.list(&services).await?;
    Ok(HttpResponse::Ok().json(EventsBody::from(&page)))
}

impl Parameters {
    pub(in crate::http) async fn list(
        &self,
        services: &Services,
    ) -> Result<Page<Recorded, EventId>, Problem> {
        let mut fields = Fields::default();
        let filter = EventFilter {
            actor: fields.optional("actor", self.actor.as_ref(), actor),
            subject: fields.optional("subject", self.subject.as_ref(), user_id),
            action: fields.optional("action", self.action.as_ref(), Action::parse),
            ..EventFilter::default()
        };
        let page = page_of(&mut fields, self.cursor.as_ref(), self.limit.as_ref());
        fields.finish()?;
        Ok(services.accounts.list_events(filter, page).await?)
    }
}

fn actor(text: &str) -> Result<Actor, &'static str> {
    match text {
        "operator" => Ok(Actor::Operator),
        id => id
            .parse()
            .map(Actor::User)
            .map_err(|_| "must be the id of a user, or operator"),
    }
}
