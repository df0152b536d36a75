use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::name_by_id;
use crate::domain::email::Email;
use crate::domain::id::SessionId;
use crate::domain::time::Timestamp;
use crate::http::api::admin::list_sessions::Parameters;
use crate::http::body::{Id, NoForm};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::pages::done::{Asked, Done, page_before};
use crate::http::pages::form::{Mistakes, list, listed, nothing};
use crate::http::pages::view::{People, Place, Viewer, link, next_page};
use crate::http::problem::Problem;
use crate::http::services::Services;
use crate::sessions::Revoked;

/// How long a time is up to its minutes.
const MINUTES: usize = "2026-09-21T14:13".len();

#[derive(Template)]
#[template(path = "admin_sessions.html")]
struct SessionsPage<'a> {
    viewer: &'a Viewer,
    notice: Option<&'static str>,
    mistakes: Mistakes,
    given: &'a Parameters,
    /// The user that is asked for: an id, or an e-mail address.
    whose: Option<String>,
    /// The e-mail address that is asked for, if it is nobody's.
    nobody: Option<Email>,
    places: Vec<Place<'a>>,
    people: People,
    /// Where to end what is listed, if it is not all that there is.
    end: Option<String>,
    next: Option<String>,
}

impl SessionsPage<'_> {
    fn issued_after(&self) -> String {
        in_form(self.given.issued_after.as_ref())
    }

    fn issued_before(&self) -> String {
        in_form(self.given.issued_before.as_ref())
    }

    fn last_seen_before(&self) -> String {
        in_form(self.given.last_seen_before.as_ref())
    }
}

/// A time as browsers want it in a form: in UTC, without zone and seconds. What is
/// no time is left out.
fn in_form(time: Option<&String>) -> String {
    let time = time.and_then(|time| Timestamp::parse(time).ok());
    let mut text = time.map(|time| time.to_string()).unwrap_or_default();
    text.truncate(MINUTES);
    text
}

/// Sessions of all users, by any filter.
pub async fn get_sessions(
    admin: AdminSession,
    services: Data<Services>,
    Asked(given, notice): Asked<Parameters>,
) -> Result<HttpResponse, Problem> {
    let (mut given, viewer) = (in_utc(given), Viewer::from(admin));
    let whose = given.user_id.clone();
    let nobody = name_by_id(&services, [&mut given.user_id]).await?;
    let (found, mistakes) = listed(given.list(&services).await)?;
    let found = if nobody.is_some() { nothing() } else { found };
    let users = found.items.iter().map(|session| session.user_id);
    let filter = filter(&given);
    let is_of_some = nobody.is_none() && filter.iter().any(|(_, value)| value.is_some());
    let shown = SessionsPage {
        notice,
        mistakes,
        whose,
        nobody,
        places: Place::all(&found.items, &viewer),
        people: People::look_up(&services, users).await?,
        end: is_of_some.then(|| link("/admin/sessions/end", filter)),
        next: next_page("/admin/sessions", filter, found.next),
        given: &given,
        viewer: &viewer,
    };
    list(&shown.mistakes, &shown)
}

pub async fn end_session(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Id(session): Id<SessionId>,
    _: NoForm,
) -> Result<HttpResponse, Problem> {
    let act = act_of(&request, &services, admin.user().id);
    let back = page_before(&request, &services, "/admin/sessions");
    match services.sessions.revoke_anyones(session, act).await? {
        Revoked::Done => Done::SessionEnded.told_at(&back),
        Revoked::NotFound => Done::NoSuchSession.told_at(&back),
    }
}

fn filter(given: &Parameters) -> [(&'static str, Option<&str>); 6] {
    [
        ("user_id", given.user_id.as_deref()),
        ("ip", given.ip.as_deref()),
        ("user_agent", given.user_agent.as_deref()),
        ("issued_after", given.issued_after.as_deref()),
        ("issued_before", given.issued_before.as_deref()),
        ("last_seen_before", given.last_seen_before.as_deref()),
    ]
}

/// Browsers send a time without its zone, which the form says is UTC, and without
/// its seconds.
fn in_utc(mut given: Parameters) -> Parameters {
    for time in [
        &mut given.issued_after,
        &mut given.issued_before,
        &mut given.last_seen_before,
    ] {
        if let Some(time) = time
            && time.len() == MINUTES
        {
            time.push_str(":00Z");
        }
    }
    given
}
