use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::domain::user::{User, UserName};
use crate::http::body::{Fields, Json, not_null};
use crate::http::client::source_of;
use crate::http::device_cookie::device_of;
use crate::http::gate::CurrentSession;
use crate::http::problem::Problem;
use crate::http::representation::UserBody;
use crate::http::services::Services;

#[derive(Deserialize, ToSchema)]
#[schema(as = AccountChange, min_properties = 1, max_properties = 2, example = json!({ "name": "Ada Lovelace" }))]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required = false, value_type = String, example = "Ada Lovelace")]
    pub(in crate::http) name: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required = false, value_type = String, example = "ada@example.com")]
    pub(in crate::http) email: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required = false, value_type = String, example = "correct horse battery staple")]
    pub(in crate::http) password: Option<Zeroizing<String>>,
}

enum Change {
    Name(UserName),
    Email(Email, Password),
}

/// Change my name, or my e-mail address
///
/// Either `name`, or `email` together with `password`. A new address ends my
/// other sessions.
#[utoipa::path(
    patch, path = "/api/account", tag = "account", request_body = Body,
    responses(
        (status = 200, body = UserBody),
        (status = 403, description = "`wrong_password`"),
        (status = 409, description = "`email_taken`"),
        (status = 429, description = "`too_many_attempts`"),
        (status = 503, description = "`busy`"),
    ),
    security(("session" = [])),
)]
pub async fn update_account(
    request: HttpRequest,
    current: CurrentSession,
    services: Data<Services>,
    Json(body): Json<Body>,
) -> Result<HttpResponse, Problem> {
    let user = body.change(&request, &services, &current).await?;
    Ok(HttpResponse::Ok().json(UserBody::from(&user)))
}

impl Body {
    pub(in crate::http) async fn change(
        self,
        request: &HttpRequest,
        services: &Services,
        current: &CurrentSession,
    ) -> Result<User, Problem> {
        let change = self.into_change()?;
        let (accounts, by) = (&services.accounts, current.record());
        let source = source_of(request, services);
        let changed = match change {
            Change::Name(name) => accounts.change_name(by, name, source).await,
            Change::Email(email, password) => {
                let device = device_of(request, services);
                accounts
                    .change_email(by, email, password, device, source)
                    .await
            }
        };
        Ok(changed?)
    }

    /// Either the name, or the e-mail address with the password; not both, so
    /// that a request is done whole or not at all.
    fn into_change(self) -> Result<Change, Problem> {
        let mut fields = Fields::default();
        if self.name.is_some() && self.email.is_some() {
            fields.refuse("email", "is changed in a request of its own");
            return Err(fields.into_problem());
        }
        if let Some(name) = &self.name {
            if self.password.is_some() {
                fields.refuse("password", "goes with email, not with name");
            }
            let name = fields.parse("name", Some(name), UserName::parse);
            return name
                .filter(|_| self.password.is_none())
                .map(Change::Name)
                .ok_or_else(|| fields.into_problem());
        }
        let email = fields.parse("email", self.email.as_ref(), Email::parse);
        let password = fields.parse("password", self.password.as_deref(), Password::parse);
        match (email, password) {
            (Some(email), Some(password)) => Ok(Change::Email(email, password)),
            _ => Err(fields.into_problem()),
        }
    }
}
