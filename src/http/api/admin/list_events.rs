use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::audit::{Action, Actor, EventFilter};
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
    actor: Option<String>,
    /// Whom it concerned: a user's id.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String, format = Uuid)]
    subject: Option<String>,
    /// What was done, such as `logged_in`.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String)]
    action: Option<String>,
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
    let mut fields = Fields::default();
    let filter = EventFilter {
        actor: fields.optional("actor", parameters.actor.as_ref(), actor),
        subject: fields.optional("subject", parameters.subject.as_ref(), user_id),
        action: fields.optional("action", parameters.action.as_ref(), Action::parse),
    };
    let page = page_of(
        &mut fields,
        parameters.cursor.as_ref(),
        parameters.limit.as_ref(),
    );
    fields.finish()?;
    let page = services.accounts.list_events(filter, page).await?;
    Ok(HttpResponse::Ok().json(EventsBody::from(&page)))
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
