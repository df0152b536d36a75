use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::id::SessionId;
use crate::domain::page::Page;
use crate::domain::session::Session;
use crate::http::body::{Fields, Query, given};
use crate::http::gate::AdminSession;
use crate::http::listing::{Given, page_of, session_filter};
use crate::http::problem::Problem;
use crate::http::representation::SessionsPageBody;
use crate::http::services::Services;

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// Whose.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String, format = Uuid)]
    pub(in crate::http) user_id: Option<String>,
    /// An address, or a range such as `203.0.113.0/24`.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String)]
    pub(in crate::http) ip: Option<String>,
    /// What the user agent has in it, upper and lower case alike, three
    /// characters at least.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String)]
    pub(in crate::http) user_agent: Option<String>,
    /// RFC 3339.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String, format = DateTime)]
    pub(in crate::http) issued_before: Option<String>,
    /// RFC 3339.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String, format = DateTime)]
    pub(in crate::http) issued_after: Option<String>,
    /// RFC 3339. What the ledger knows of this is up to 5 % of the idle timeout old.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String, format = DateTime)]
    pub(in crate::http) last_seen_before: Option<String>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String)]
    pub(in crate::http) cursor: Option<String>,
    /// How many at most, 1 to 200.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = u16, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
}

/// Sessions of everybody, newest first
///
/// Those that everything given holds for.
#[utoipa::path(
    get, path = "/api/admin/sessions", tag = "sessions", params(Parameters),
    responses((status = 200, body = SessionsPageBody)), security(("session" = ["admin"])),
)]
pub async fn list_all_sessions(
    admin: AdminSession,
    services: Data<Services>,
    Query(parameters): Query<Parameters>,
) -> Result<HttpResponse, Problem> {
    let page = parameters.list(&services).await?;
    Ok(HttpResponse::Ok().json(SessionsPageBody::new(&page, admin.session().id)))
}

impl Parameters {
    pub(in crate::http) async fn list(
        &self,
        services: &Services,
    ) -> Result<Page<Session, SessionId>, Problem> {
        let mut fields = Fields::default();
        let filter = session_filter(&mut fields, &self.filter());
        let page = page_of(&mut fields, self.cursor.as_ref(), self.limit.as_ref());
        fields.finish()?;
        Ok(services.sessions.list_all(&filter, page).await?)
    }

    fn filter(&self) -> Given<'_> {
        Given {
            user_id: self.user_id.as_ref(),
            ip: self.ip.as_ref(),
            user_agent: self.user_agent.as_ref(),
            issued_after: self.issued_after.as_ref(),
            issued_before: self.issued_before.as_ref(),
            last_seen_before: self.last_seen_before.as_ref(),
        }
    }
}
