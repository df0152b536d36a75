//! The gate: who may pass. As a middleware around routes, or as an extractor in
//! a handler; either way the same check, made once per request.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};

use super::carrier::Presented;
use super::client::source_of;
use super::problem::{Kind, Problem};
use super::services::Services;
use crate::domain::session::{Record, Session};
use crate::domain::text::Line;
use crate::domain::user::{Role, User};

/// Lets through only requests with a live session; everything else is answered
/// with 401, 403 or 503. The app must have been given
/// [`Services::attach`](super::Services::attach) or
/// [`Services::mount`](super::Services::mount).
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    required: Required,
}

#[derive(Clone, Copy, Debug)]
enum Required {
    Session,
    Admin,
}

impl Gate {
    /// For anyone who is logged in.
    #[must_use]
    pub const fn session() -> Self {
        Self {
            required: Required::Session,
        }
    }

    /// For administrators.
    #[must_use]
    pub const fn admin() -> Self {
        Self {
            required: Required::Admin,
        }
    }
}

/// The session a request carries: alive when it was checked.
#[derive(Clone, Debug)]
pub struct CurrentSession(Arc<Record>);

impl CurrentSession {
    #[must_use]
    pub fn user(&self) -> User {
        self.0.user()
    }

    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    pub(super) fn record(&self) -> &Record {
        &self.0
    }
}

/// The session of an administrator.
#[derive(Clone, Debug)]
pub struct AdminSession(CurrentSession);

impl From<AdminSession> for CurrentSession {
    fn from(admin: AdminSession) -> Self {
        admin.0
    }
}

impl AdminSession {
    #[must_use]
    pub fn user(&self) -> User {
        self.0.user()
    }

    #[must_use]
    pub fn session(&self) -> &Session {
        self.0.session()
    }
}

async fn authenticate(
    request: &HttpRequest,
    required: Required,
) -> Result<CurrentSession, Problem> {
    let current = current(request).await?.ok_or(Kind::Unauthenticated)?;
    match required {
        Required::Admin if current.record().role != Role::Admin => {
            deny(request, &current);
            Err(Kind::Forbidden.into())
        }
        Required::Admin | Required::Session => Ok(current),
    }
}

/// Writes down that somebody asked for what only administrators may. The answer does not
/// wait for it.
fn deny(request: &HttpRequest, by: &CurrentSession) {
    let what = request
        .match_pattern()
        .and_then(|route| Line::parse(&format!("{} {route}", request.method())).ok());
    if let Some(services) = request.app_data::<Data<Services>>() {
        let source = source_of(request, services);
        services.accounts.denied(by.record(), what, source);
    }
}

/// The live session that a request carries, looked for once. `None` is a definite no.
pub(super) async fn current(request: &HttpRequest) -> Result<Option<CurrentSession>, Problem> {
    if let Some(known) = request.extensions().get::<CurrentSession>() {
        return Ok(Some(known.clone()));
    }
    let current = look_up(request).await?.map(CurrentSession);
    if let Some(current) = &current {
        request.extensions_mut().insert(current.clone());
    }
    Ok(current)
}

/// The same, as it is now.
pub(super) async fn look_up(request: &HttpRequest) -> Result<Option<Arc<Record>>, Problem> {
    let services = request.app_data::<Data<Services>>().ok_or_else(|| {
        Problem::internal(anyhow::anyhow!("the app was not given Services::attach"))
    })?;
    let sessions = &services.sessions;
    if let Some(digest) = Presented::of(request) {
        Ok(sessions.check(&digest).await?)
    } else if let Some(claim) = services.cookie.read(request.headers()) {
        Ok(sessions.recognise(&claim).await?)
    } else {
        Ok(None)
    }
}

impl FromRequest for CurrentSession {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Ok(authenticate(&request, Required::Session).await?) })
    }
}

impl FromRequest for AdminSession {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Ok(Self(authenticate(&request, Required::Admin).await?)) })
    }
}

impl<S, B> Transform<S, ServiceRequest> for Gate
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = GateService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(GateService {
            service: Rc::new(service),
            required: self.required,
        }))
    }
}

#[doc(hidden)]
pub struct GateService<S> {
    service: Rc<S>,
    required: Required,
}

impl<S, B> Service<ServiceRequest> for GateService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (service, required) = (Rc::clone(&self.service), self.required);
        Box::pin(async move {
            match authenticate(request.request(), required).await {
                Ok(_) => Ok(service.call(request).await?.map_into_left_body()),
                Err(problem) => Ok(request.error_response(problem).map_into_right_body()),
            }
        })
    }
}
