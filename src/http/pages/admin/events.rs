use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;

use crate::domain::audit::{Action, Actor, Outcome, Recorded};
use crate::http::api::admin::list_events::Parameters;
use crate::http::body::Query;
use crate::http::gate::AdminSession;
use crate::http::pages::form::{Mistakes, list, listed};
use crate::http::pages::view::{Moment, People, Viewer, next_page};
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "admin_events.html")]
struct EventsPage<'a> {
    viewer: Viewer,
    mistakes: Mistakes,
    given: &'a Parameters,
    events: Vec<Recorded>,
    people: People,
    next: Option<String>,
}

/// The audit log.
pub async fn get_events(
    admin: AdminSession,
    services: Data<Services>,
    Query(given): Query<Parameters>,
) -> Result<HttpResponse, Problem> {
    let (found, mistakes) = listed(given.list(&services).await)?;
    let people = found
        .items
        .iter()
        .flat_map(|event| event.actor.user().into_iter().chain(event.subject));
    let filter = [
        ("actor", given.actor.as_deref()),
        ("subject", given.subject.as_deref()),
        ("action", given.action.as_deref()),
    ];
    let shown = EventsPage {
        viewer: admin.into(),
        mistakes,
        people: People::look_up(&services, people).await?,
        next: next_page("/admin/events", filter, found.next),
        events: found.items,
        given: &given,
    };
    list(&shown.mistakes, &shown)
}
