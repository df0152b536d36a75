//! What several pages show.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use askama::filters::HtmlSafe;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::domain::client::UserAgent;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::Session;
use crate::domain::time::Timestamp;
use crate::domain::user::{Role, User};
use crate::http::gate::{AdminSession, CurrentSession};
use crate::http::problem::Problem;
use crate::http::services::Services;

/// Who looks at a page.
pub(super) struct Viewer(CurrentSession);

impl Viewer {
    pub(super) fn email(&self) -> &str {
        self.0.record().email.as_str()
    }

    pub(super) fn is_admin(&self) -> bool {
        self.0.record().role == Role::Admin
    }

    pub(super) fn is(&self, user: &User) -> bool {
        self.0.session().user_id == user.id
    }

    pub(super) fn session(&self) -> SessionId {
        self.0.session().id
    }
}

impl From<CurrentSession> for Viewer {
    fn from(current: CurrentSession) -> Self {
        Self(current)
    }
}

impl From<AdminSession> for Viewer {
    fn from(admin: AdminSession) -> Self {
        Self(admin.into())
    }
}

/// A point in time as HTML: in UTC, for machines as well. A script puts it into the
/// reader's zone.
pub(super) struct Moment(pub(super) Timestamp);

/// Nothing but a time is in it.
impl HtmlSafe for Moment {}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(at) = self;
        let readable = format_description!(
            "[day padding:none] [month repr:short] [year], [hour]:[minute] UTC"
        );
        let shown = OffsetDateTime::from(*at).format(readable);
        let shown = shown.map_err(|_| fmt::Error)?;
        write!(f, "<time datetime=\"{at}\">{shown}</time>")
    }
}

/// The same to the second, for logs.
pub(super) struct Second(pub(super) Timestamp);

/// Nothing but a time is in it.
impl HtmlSafe for Second {}

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(at) = self;
        let readable = format_description!(
            "[day padding:none] [month repr:short] [year], [hour]:[minute]:[second] UTC"
        );
        let shown = OffsetDateTime::from(*at).format(readable);
        let shown = shown.map_err(|_| fmt::Error)?;
        write!(f, "<time datetime=\"{at}\" data-seconds>{shown}</time>")
    }
}

/// Where somebody is logged in.
pub(super) struct Place<'a> {
    pub(super) session: &'a Session,
    pub(super) is_here: bool,
}

impl<'a> Place<'a> {
    /// All of them, of which `here` is where the one who looks is logged in.
    pub(super) fn all(sessions: &'a [Session], here: &Viewer) -> Vec<Self> {
        let here = here.session();
        let place = |session: &'a Session| Self {
            session,
            is_here: session.id == here,
        };
        sessions.iter().map(place).collect()
    }

    pub(super) fn device(&self) -> &str {
        let user_agent = self.session.user_agent.as_ref();
        user_agent.map_or("Unknown device", UserAgent::device)
    }

    /// What the device said of itself.
    pub(super) fn user_agent(&self) -> &str {
        self.session
            .user_agent
            .as_ref()
            .map_or("", UserAgent::as_str)
    }

    pub(super) fn address(&self) -> String {
        let address = self.session.address;
        address.map_or_else(|| "unknown address".to_owned(), |ip: IpAddr| ip.to_string())
    }

    pub(super) fn issued(&self) -> Moment {
        Moment(self.session.issued_at())
    }

    pub(super) fn seen(&self) -> Moment {
        Moment(self.session.last_seen_at)
    }
}

/// Who is meant by their ids.
pub(super) struct People(HashMap<UserId, User>);

impl People {
    pub(super) async fn look_up(
        services: &Services,
        ids: impl IntoIterator<Item = UserId>,
    ) -> Result<Self, Problem> {
        Ok(Self(services.accounts.users_among(ids).await?))
    }

    /// The e-mail address of somebody who is still a user.
    pub(super) fn email(&self, id: &UserId) -> Option<&str> {
        self.0.get(id).map(|user| user.email.as_str())
    }
}

/// The address of a list, with whatever of its parameters is given.
pub(super) fn link<'a>(
    path: &str,
    given: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> String {
    let given = given.into_iter();
    let pairs = given.filter_map(|(name, value)| Some((name, value?)));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    format!("{path}?{}", query.extend_pairs(pairs).finish())
}

/// Where a list goes on.
pub(super) fn next_page<'a>(
    path: &str,
    given: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    next: Option<impl fmt::Display>,
) -> Option<String> {
    let cursor = next?.to_string();
    let mut given: Vec<(&str, Option<&str>)> = given.into_iter().collect();
    given.push(("cursor", Some(&cursor)));
    Some(link(path, given))
}
