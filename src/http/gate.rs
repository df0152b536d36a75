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
use crate::domain::revocation::Vouched;
use crate::domain::session::{Record, Session};
use crate::domain::text::Line;
use crate::domain::user::{Role, User};
use crate::store::Unavailable;

/// Lets through only requests with a live session. Everything else is answered with a
/// problem document (RFC 9457): 401 `unauthenticated`, 403 `forbidden`, or 503 `unavailable`
/// if nobody can tell; 403 `csrf_failed` if it could change something and a browser says that
/// it comes neither from a page of `server.public_url` nor of `cors.allowed_origins` (ASVS
/// 3.5.1). Nobody is redirected.
///
/// The app must have been given [`Services::attach`](super::Services::attach) or
/// [`Services::mount`](super::Services::mount): without, everybody is answered with 500.
///
/// ```no_run
/// use actix_web::App;
/// use actix_web::web::{get, scope};
/// use gatelodge::{CurrentSession, Gate, Services};
///
/// async fn notes(session: CurrentSession) -> String {
///     format!("The notes of {}.\n", session.user().name)
/// }
///
/// fn app(services: &Services) {
///     App::new()
///         .configure(|app| services.mount(app))
///         .service(scope("/notes").wrap(Gate::session()).route("", get().to(notes)));
/// }
/// ```
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

/// The session a request carries: alive when it was checked, and not followed after that.
///
/// As an extractor, it refuses what a [`Gate`] refuses, around the route or not. A handler that
/// answers strangers as well takes `Result<CurrentSession, actix_web::Error>`, and 401 alone for
/// nobody: an `Option` would take an outage for a log-out.
#[derive(Clone, Debug)]
pub struct CurrentSession {
    record: Arc<Record>,
    stood_at: Vouched,
}

impl CurrentSession {
    /// Whose it is: role, name and e-mail address, as they were at most a second ago, or five if
    /// something has broken.
    #[must_use]
    pub fn user(&self) -> User {
        self.record.user()
    }

    /// Its public id, times, address and browser; nothing that opens it.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.record.session
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// Where the view stood before the check: what ended the session up to there, the
    /// check knew.
    pub(super) const fn stood_at(&self) -> Vouched {
        self.stood_at
    }
}

/// The session of an administrator; as an extractor, like [`CurrentSession`]. A user who is none
/// is refused with 403 `forbidden`, which the audit log tells.
#[derive(Clone, Debug)]
pub struct AdminSession(CurrentSession);

impl From<AdminSession> for CurrentSession {
    fn from(admin: AdminSession) -> Self {
        admin.0
    }
}

impl AdminSession {
    /// See [`CurrentSession::user`].
    #[must_use]
    pub fn user(&self) -> User {
        self.0.user()
    }

    /// See [`CurrentSession::session`].
    #[must_use]
    pub fn session(&self) -> &Session {
        self.0.session()
    }
}

async fn authenticate(
    request: &HttpRequest,
    required: Required,
) -> Result<CurrentSession, Problem> {
    let services = services(request)?;
    if !services
        .edge
        .may_change(request.method(), request.headers())
    {
        return Err(Kind::CsrfFailed.into());
    }
    let current = current(request, services).await?;
    let current = current.ok_or(Kind::Unauthenticated)?;
    match required {
        Required::Admin if current.record().role != Role::Admin => {
            deny(request, services, &current);
            Err(Kind::Forbidden.into())
        }
        Required::Admin | Required::Session => Ok(current),
    }
}

/// Writes down that somebody asked for what only administrators may. The answer does not
/// wait for it.
fn deny(request: &HttpRequest, services: &Services, by: &CurrentSession) {
    let what = request
        .match_pattern()
        .and_then(|route| Line::parse(&format!("{} {route}", request.method())).ok());
    let source = source_of(request, services);
    services.accounts.denied(by.record(), what, source);
}

fn services(request: &HttpRequest) -> Result<&Data<Services>, Problem> {
    request.app_data::<Data<Services>>().ok_or_else(|| {
        Problem::internal(anyhow::anyhow!(
            "the app was given neither Services::attach nor Services::mount"
        ))
    })
}

/// The live session that a request carries, looked for once. `None` is a definite no.
pub(super) async fn current(
    request: &HttpRequest,
    services: &Services,
) -> Result<Option<CurrentSession>, Problem> {
    if let Some(known) = request.extensions().get::<CurrentSession>() {
        return Ok(Some(known.clone()));
    }
    let stood_at = services.sessions.stands_at();
    let record = look_up(request, services).await?;
    let current = record.map(|record| CurrentSession { record, stood_at });
    if let Some(current) = &current {
        request.extensions_mut().insert(current.clone());
    }
    Ok(current)
}

async fn look_up(
    request: &HttpRequest,
    services: &Services,
) -> Result<Option<Arc<Record>>, Unavailable> {
    let sessions = &services.sessions;
    if let Some(digest) = Presented::of(request) {
        sessions.check(&digest).await
    } else if let Some(claim) = services.cookie.read(request.headers()) {
        sessions.recognise(&claim).await
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
