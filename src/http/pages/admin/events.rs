use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;

use super::name_by_id;
use crate::domain::audit::{Action, Actor, Outcome, Recorded};
use crate::domain::email::Email;
use crate::http::api::admin::list_events::Parameters;
use crate::http::body::Query;
use crate::http::gate::AdminSession;
use crate::http::pages::form::{Mistakes, list, listed, nothing};
use crate::http::pages::view::{People, Second, Viewer, next_page};
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Template)]
#[template(path = "admin_events.html")]
struct EventsPage<'a> {
    viewer: Viewer,
    mistakes: Mistakes,
    given: &'a Parameters,
    /// The users that are asked for: ids, e-mail addresses, or an operator.
    actor: Option<String>,
    subject: Option<String>,
    /// The e-mail address that is asked for, if it is nobody's.
    nobody: Option<Email>,
    events: Vec<Recorded>,
    people: People,
    next: Option<String>,
}

/// The audit log.
pub async fn get_events(
    admin: AdminSession,
    services: Data<Services>,
    Query(mut given): Query<Parameters>,
) -> Result<HttpResponse, Problem> {
    let (actor, subject) = (given.actor.clone(), given.subject.clone());
    let nobody = name_by_id(&services, [&mut given.actor, &mut given.subject]).await?;
    let (found, mistakes) = listed(given.list(&services).await)?;
    let found = if nobody.is_some() { nothing() } else { found };
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
        actor,
        subject,
        nobody,
        people: People::look_up(&services, people).await?,
        next: next_page("/admin/events", filter, found.next),
        events: found.items,
        given: &given,
    };
    list(&shown.mistakes, &shown)
}
