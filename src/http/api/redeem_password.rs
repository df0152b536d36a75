use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::domain::link::LinkToken;
use crate::domain::password::{NewPassword, Owner};
use crate::http::body::{Fields, Json};
use crate::http::carrier::HasEnded;
use crate::http::client::strangers_act;
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Deserialize, ToSchema)]
#[schema(as = PasswordRedemption)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// What the link has in it.
    #[schema(required, value_type = String, example = "q0Yx…")]
    pub(in crate::http) token: Option<Zeroizing<String>>,
    #[schema(required, value_type = String, example = "a longer horse battery staple")]
    pub(in crate::http) new_password: Option<Zeroizing<String>>,
}

/// Set my password by a link
///
/// Ends all my sessions, and logs nobody in.
#[utoipa::path(
    post, path = "/api/password/redeem", tag = "account", request_body = Body,
    responses((status = 204), (status = 503, description = "`busy`")),
)]
pub async fn redeem_password_link(
    request: HttpRequest,
    services: Data<Services>,
    Json(body): Json<Body>,
) -> Result<HttpResponse, Problem> {
    body.redeem(&request, &services).await?;
    request.extensions_mut().insert(HasEnded);
    Ok(HttpResponse::NoContent().finish())
}

impl Body {
    pub(in crate::http) async fn redeem(
        &self,
        request: &HttpRequest,
        services: &Services,
    ) -> Result<(), Problem> {
        let mut fields = Fields::default();
        let token = fields.parse("token", self.token.as_deref(), LinkToken::parse);
        let holder = match &token {
            Some(token) => Some(services.accounts.link_holder(token).await?),
            None => None,
        };
        let owner = holder.as_ref().map(Owner::from).unwrap_or_default();
        let new = fields.parse("new_password", self.new_password.as_deref(), |text| {
            NewPassword::parse(text, &services.password_policy, owner)
        });
        let (Some(token), Some(new)) = (token, new) else {
            return Err(fields.into_problem());
        };
        let act = strangers_act(request, services);
        Ok(services.accounts.redeem(&token, new, act).await?)
    }
}
