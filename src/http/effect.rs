//! `?wait=effective`: whoever ends sessions is answered when all instances refuse
//! them, or after a while with 202 and how many have not said so yet.

use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody as _, to_bytes};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpResponse};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::Fields;
use super::carrier::HasEnded;
use super::edge::Until;
use super::gate::CurrentSession;
use super::problem::Problem;
use super::services::Services;
use crate::domain::id::InstanceId;
use crate::domain::user::Role;
use crate::sessions::Effect;

const PARAMETER: &str = "wait";
const EFFECTIVE: &str = "effective";

/// However long the request itself may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the answer itself takes of the request's time.
const RESERVE: Duration = Duration::from_millis(100);

/// What an answer says when it was waited for in vain: that of the call, if it says
/// anything, and this.
#[derive(Serialize, ToSchema)]
#[schema(as = Pending)]
pub(super) struct PendingBody {
    /// How many instances have not said yet that they refuse the sessions.
    #[schema(example = 1)]
    pending: usize,
    /// Which; for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = Vec<Uuid>)]
    instances: Option<Vec<InstanceId>>,
}

/// Wraps a route that ends sessions, inside of its gate.
pub(super) async fn wait(
    services: Data<Services>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, actix_web::Error> {
    let is_asked = match is_asked(request.query_string()) {
        Ok(is_asked) => is_asked,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    let response = next.call(request).await?;
    if !is_asked || !response.status().is_success() || !has_ended(&response) {
        return Ok(response);
    }
    match services.sessions.effect(patience(&response)).await {
        Effect::Everywhere => Ok(response),
        Effect::Pending(instances) => answer_pending(response, instances).await,
    }
}

fn is_asked(query: &str) -> Result<bool, Problem> {
    let mut given = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == PARAMETER)
        .map(|(_, value)| value);
    match (given.next().as_deref(), given.next()) {
        (None, _) => Ok(false),
        (Some(EFFECTIVE), None) => Ok(true),
        _ => {
            let mut fields = Fields::default();
            fields.refuse(PARAMETER, "must be effective, once, or left out");
            Err(fields.into_problem())
        }
    }
}

fn has_ended(response: &ServiceResponse) -> bool {
    let extensions = response.request().extensions();
    extensions.contains::<CurrentSession>() || extensions.contains::<HasEnded>()
}

fn patience(response: &ServiceResponse) -> Duration {
    let until = response.request().extensions().get::<Until>().copied();
    let left = until.map_or(PATIENCE, |until| {
        until.0.saturating_duration_since(Instant::now())
    });
    PATIENCE.min(left.saturating_sub(RESERVE))
}

async fn answer_pending(
    response: ServiceResponse,
    instances: Vec<InstanceId>,
) -> Result<ServiceResponse, actix_web::Error> {
    let is_admin = response
        .request()
        .extensions()
        .get::<CurrentSession>()
        .is_some_and(|current| current.record().role == Role::Admin);
    let pending = PendingBody {
        pending: instances.len(),
        instances: is_admin.then_some(instances),
    };
    let (request, answered) = response.into_parts();
    let (head, body) = answered.into_parts();
    let said = to_bytes(body).await.map_err(|error| {
        Problem::internal(anyhow::anyhow!("the answer cannot be read: {error}"))
    })?;
    let mut object = serde_json::from_slice::<Map<String, Value>>(&said).unwrap_or_default();
    if let Ok(Value::Object(pending)) = serde_json::to_value(pending) {
        object.extend(pending);
    }
    let mut answer = HttpResponse::Accepted().json(object);
    let kept = head.headers().iter();
    for (name, value) in kept.filter(|(name, _)| **name != CONTENT_TYPE && **name != CONTENT_LENGTH)
    {
        answer.headers_mut().append(name.clone(), value.clone());
    }
    Ok(ServiceResponse::new(
        request,
        answer.map_body(|_, body| body.boxed()),
    ))
}
