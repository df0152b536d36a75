use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::id::UserId;
use crate::domain::page::Page;
use crate::domain::text::Fragment;
use crate::domain::user::User;
use crate::http::body::{Fields, Query, given};
use crate::http::listing::page_of;
use crate::http::problem::Problem;
use crate::http::representation::UsersBody;
use crate::http::services::Services;

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// What a name or an e-mail address has in it, three characters at least.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String)]
    pub(in crate::http) search: Option<String>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = String)]
    cursor: Option<String>,
    /// How many at most, 1 to 200.
    #[serde(deserialize_with = "given")]
    #[param(required = false, value_type = u16, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
}

/// Users, the newest first
#[utoipa::path(
    get, path = "/api/admin/users", tag = "users", params(Parameters),
    responses((status = 200, body = UsersBody)), security(("session" = ["admin"])),
)]
pub async fn list_users(
    services: Data<Services>,
    Query(parameters): Query<Parameters>,
) -> Result<HttpResponse, Problem> {
    let users = parameters.list(&services).await?;
    Ok(HttpResponse::Ok().json(UsersBody::from(&users)))
}

impl Parameters {
    pub(in crate::http) async fn list(
        &self,
        services: &Services,
    ) -> Result<Page<User, UserId>, Problem> {
        let mut fields = Fields::default();
        let search = fields.optional("search", self.search.as_ref(), Fragment::parse);
        let page = page_of(&mut fields, self.cursor.as_ref(), self.limit.as_ref());
        fields.finish()?;
        Ok(services.accounts.list_users(search.as_ref(), page).await?)
    }
}
