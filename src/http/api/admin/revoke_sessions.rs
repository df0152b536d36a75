use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::session::Selection;
use crate::domain::text::Line;
use crate::domain::time::Timestamp;
use crate::http::body::{Fields, Json, not_null, object};
use crate::http::client::act_of;
use crate::http::gate::AdminSession;
use crate::http::listing::{Given, session_filter};
use crate::http::problem::Problem;
use crate::http::services::Services;

#[derive(Deserialize, ToSchema)]
#[schema(
    as = BulkRevocation,
    example = json!({
        "filter": { "ip": "203.0.113.0/24", "issued_before": "2026-09-21T14:00:00Z" },
        "reason": "stolen laptops",
        "dry_run": true,
    }),
)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[serde(default, deserialize_with = "object")]
    #[schema(required, value_type = Filter)]
    pub(in crate::http) filter: Option<Filter>,
    /// For the audit log.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required = false, value_type = String, example = "stolen laptops")]
    pub(in crate::http) reason: Option<String>,
    /// Whether only to count.
    #[serde(default)]
    pub(in crate::http) dry_run: bool,
}

/// The sessions that everything given holds for; or everyone's.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = SessionFilter, min_properties = 1)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Whose.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required = false, value_type = String, format = Uuid)]
    pub(in crate::http) user_id: Option<String>,
    /// An address, or a range such as `203.0.113.0/24`.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required = false, value_type = String)]
    pub(in crate::http) ip: Option<String>,
    /// What the user agent has in it, upper and lower case alike, three
    /// characters at least.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required = false, value_type = String)]
    pub(in crate::http) user_agent: Option<String>,
    /// RFC 3339.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required = false, value_type = String, format = DateTime)]
    pub(in crate::http) issued_before: Option<String>,
    /// RFC 3339.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required = false, value_type = String, format = DateTime)]
    pub(in crate::http) issued_after: Option<String>,
    /// RFC 3339. What the ledger knows of this is up to 5 % of the idle timeout old.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required = false, value_type = String, format = DateTime)]
    pub(in crate::http) last_seen_before: Option<String>,
    /// `true`, and nothing else: all sessions there are, the one that asks included.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required = false, value_type = bool)]
    pub(in crate::http) everyone: Option<bool>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BulkRevoked)]
pub struct Answer {
    /// Sessions in use that the filter is for; null with everyone.
    #[schema(required, example = 42)]
    pub(in crate::http) matched: Option<usize>,
    /// Those of them that this has ended; null with everyone.
    #[schema(required, example = 42)]
    pub(in crate::http) revoked: Option<usize>,
    /// From when on no instance accepts them, whatever has broken; while all is
    /// well, they are refused within a second. Null with `dry_run`.
    #[schema(required, value_type = Option<String>, format = DateTime, example = "2026-09-21T15:20:05Z")]
    effective_at: Option<Timestamp>,
}

enum Target {
    Everyone,
    Matching(Selection),
}

/// End all sessions of a filter
#[utoipa::path(
    post, path = "/api/admin/sessions/revoke", tag = "sessions", request_body = Body,
    responses((status = 200, body = Answer)), security(("session" = ["admin"])),
)]
pub async fn revoke_matching_sessions(
    request: HttpRequest,
    admin: AdminSession,
    services: Data<Services>,
    Json(body): Json<Body>,
) -> Result<HttpResponse, Problem> {
    let answer = body.revoke(&request, &services, &admin).await?;
    Ok(HttpResponse::Ok().json(answer))
}

impl Body {
    pub(in crate::http) async fn revoke(
        &self,
        request: &HttpRequest,
        services: &Services,
        admin: &AdminSession,
    ) -> Result<Answer, Problem> {
        let (target, reason) = self.parse()?;
        let (sessions, dry_run) = (&services.sessions, self.dry_run);
        let act = act_of(request, services, admin.user().id);
        let (matched, revoked) = match target {
            Target::Everyone if dry_run => (None, None),
            Target::Everyone => {
                sessions.revoke_everyone(reason, act).await?;
                (None, None)
            }
            Target::Matching(selection) if dry_run => {
                (Some(sessions.count_matching(&selection).await?), Some(0))
            }
            Target::Matching(selection) => {
                let swept = sessions.revoke_matching(selection, reason, act, |_| ());
                let swept = swept.await?;
                (Some(swept.matched), Some(swept.revoked))
            }
        };
        Ok(Answer {
            matched,
            revoked,
            effective_at: (!dry_run).then(|| sessions.effective_at()),
        })
    }

    /// Nothing that is empty, unknown or contradictory ends anybody's session.
    fn parse(&self) -> Result<(Target, Option<Line>), Problem> {
        let mut fields = Fields::default();
        let reason = fields.optional("reason", self.reason.as_ref(), Line::parse);
        let Some(given) = &self.filter else {
            fields.refuse("filter", "is missing");
            return Err(fields.into_problem());
        };
        fields.inside("filter.");
        let filter = session_filter(&mut fields, &given.given());
        let selection = Selection::of(filter);
        let target = match (given.everyone, selection) {
            (None, Some(selection)) => Some(Target::Matching(selection)),
            (Some(true), None) => Some(Target::Everyone),
            (Some(true), Some(_)) => {
                fields.refuse("everyone", "stands alone, or not at all");
                None
            }
            (Some(false), _) => {
                fields.refuse("everyone", "must be true, or left out");
                None
            }
            (None, None) => None,
        };
        let is_empty = target.is_none() && !fields.has_mistakes();
        if is_empty {
            fields.inside("");
            fields.refuse("filter", "must name at least one thing");
        }
        match target {
            Some(target) if !fields.has_mistakes() => Ok((target, reason)),
            _ => Err(fields.into_problem()),
        }
    }
}

impl Filter {
    fn given(&self) -> Given<'_> {
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
