//! What holds for every request, whatever its route: limits on its size and
//! time, the cross-site rule, and the headers of every answer.

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderValue, VARY};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage as _};
use futures_util::FutureExt as _;
use futures_util::future::poll_immediate;

use super::connection::{Requests, UnderWay};
use super::cors::{Audience, Cors};
use super::cross_site::OwnOrigins;
use super::headers::{Transport, set_headers, set_request_id};
use super::limits::{Body, is_tunnel, limit, read_body};
use super::meter::Meter;
use super::problem::{Kind, Problem};
use super::span::{named, report};
use crate::config::Settings;
use crate::domain::id::RequestId;
use crate::telemetry::metrics::Route;
use crate::telemetry::request::{self, unseen, within};

/// How long an answer may take once the request has arrived.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Duration);

impl Deadline {
    pub(super) const USUAL: Self = Self(Duration::from_millis(1900));
    /// For what ends sessions one by one, however many.
    pub(super) const BULK: Self = Self(Duration::from_millis(29_900));
    /// For what verifies or sets a password.
    pub(super) const HASHING: Self = Self(Duration::from_millis(4900));
}

/// When the answer must have been given.
#[derive(Clone, Copy)]
pub(super) struct Until(pub(super) Instant);

/// Stands before every route. Cheap to clone.
#[derive(Clone)]
pub(super) struct Edge(Arc<Inner>);

struct Inner {
    own_origins: OwnOrigins,
    cors: Cors,
    body_timeout: Duration,
    transport: Transport,
    meters: bool,
}

impl Edge {
    pub(super) fn new(settings: &Settings) -> Self {
        let server = &settings.server;
        Self(Arc::new(Inner {
            own_origins: OwnOrigins::new(&server.public_url, server.bind.port()),
            cors: Cors::new(&settings.cors.allowed_origins),
            body_timeout: server.body_timeout,
            transport: Transport::of(&server.public_url),
            meters: settings.metrics.bind.is_some(),
        }))
    }

    pub(super) fn guard<B: MessageBody + 'static>(
        self,
        route: Route,
        deadline: Deadline,
        request: ServiceRequest,
        next: Next<B>,
    ) -> impl Future<Output = Result<ServiceResponse, Error>> {
        let named = named(request.request());
        within(named, self.guard_named(route, deadline, request, next))
    }

    async fn guard_named<B: MessageBody + 'static>(
        self,
        route: Route,
        deadline: Deadline,
        mut request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse, Error> {
        let meter = self.meter(route, &request);
        let under_way = begin(&request);
        let audience = self.0.cors.audience(&request);
        let mut payload = request.take_payload();
        let admitted = self.admit(&audience, &mut request, &mut payload).await;
        if let Some(under_way) = &under_way {
            under_way.is_whole();
        }
        let rest = admitted.is_err().then_some(payload);
        let until = Until(Instant::now() + deadline.0);
        request.extensions_mut().insert(until);
        let answered = match audience.preflight(&request) {
            Some(answer) if admitted.is_ok() => Ok(request.into_response(answer)),
            _ => finish(admitted, rest, deadline, request, next).await,
        };
        meter.stop(&answered);
        self.dress(answered, audience, request::id())
    }

    /// Begins to measure, if somebody listens.
    fn meter(&self, route: Route, request: &ServiceRequest) -> Meter {
        if self.0.meters {
            Meter::start(route, request.method())
        } else {
            Meter::idle()
        }
    }

    /// For checks, which change nothing: method and origin are those of the request that
    /// is asked about, and so is a body that is announced, whether or not it comes.
    pub(super) fn guard_check<B: MessageBody + 'static>(
        self,
        route: Route,
        request: ServiceRequest,
        next: Next<B>,
    ) -> impl Future<Output = Result<ServiceResponse, Error>> {
        let named = named(request.request());
        within(named, self.guard_named_check(route, request, next))
    }

    async fn guard_named_check<B: MessageBody + 'static>(
        self,
        route: Route,
        mut request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse, Error> {
        let meter = self.meter(route, &request);
        let _under_way = begin(&request);
        let admitted = limit(&request);
        let rest = match request.take_payload() {
            Payload::None => None,
            rest => Some(rest),
        };
        let answered = finish(admitted, rest, Deadline::USUAL, request, next).await;
        meter.stop(&answered);
        // Of what passes, the app's own log tells.
        let passes = answered.as_ref().is_ok_and(|it| it.status().is_success());
        let told = if passes { None } else { request::id() };
        let mut response = self.dress(answered, Audience::Own, told)?;
        let vary = HeaderValue::from_static("Cookie");
        response.headers_mut().insert(VARY, vary);
        Ok(response)
    }

    /// Whether a request may change something: it comes from a page of ours or of
    /// `cors.allowed_origins`, or from no browser.
    pub(super) fn may_change(&self, method: &Method, headers: &HeaderMap) -> bool {
        let Inner {
            own_origins, cors, ..
        } = &*self.0;
        own_origins.allow(method, headers) || cors.allowed_origin(headers).is_some()
    }

    async fn admit(
        &self,
        audience: &Audience,
        request: &mut ServiceRequest,
        payload: &mut Payload,
    ) -> Result<(), Problem> {
        limit(request)?;
        let may_ask = audience.is_allowed_origin()
            || self
                .0
                .own_origins
                .allow(request.method(), request.headers());
        if !may_ask {
            return Err(Kind::CsrfFailed.into());
        }
        let body = tokio::time::timeout(self.0.body_timeout, read_body(request, payload))
            .await
            .map_err(|_| Kind::RequestTimeout)??;
        if !body.is_empty() {
            request.extensions_mut().insert(Body(body));
        }
        Ok(())
    }

    /// Gives every answer its headers, and what becomes one of an error, too.
    fn dress(
        self,
        answered: Result<ServiceResponse, Error>,
        audience: Audience,
        request_id: Option<RequestId>,
    ) -> Result<ServiceResponse, Error> {
        let set_headers = move |headers: &mut HeaderMap| {
            self.set_headers(headers);
            audience.set_headers(headers);
            set_request_id(headers, request_id);
        };
        match answered {
            Ok(mut response) => {
                set_headers(response.headers_mut());
                Ok(response)
            }
            Err(mut error) => {
                // It becomes an answer outside of the request's span.
                if let Some(problem) = error.as_error::<Problem>() {
                    problem.tell();
                }
                report(error.as_response_error().status_code(), unseen);
                error.add_response_mapper(move |mut response| {
                    set_headers(response.headers_mut());
                    response
                });
                Err(error)
            }
        }
    }

    /// The headers of every answer.
    pub(super) fn set_headers(&self, headers: &mut HeaderMap) {
        set_headers(headers);
        self.0.transport.set_headers(headers);
    }
}

/// Has the request's connection know that its head has come.
pub(super) fn begin(request: &ServiceRequest) -> Option<UnderWay> {
    request.conn_data::<Requests>().map(Requests::begin)
}

async fn finish<B: MessageBody + 'static>(
    admitted: Result<(), Problem>,
    rest: Option<Payload>,
    deadline: Deadline,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, Error> {
    let is_cut = |problem: &Problem| matches!(problem.kind(), Kind::IncompleteBody);
    let is_last = is_tunnel(&request) || admitted.as_ref().is_err_and(is_cut);
    let mut response = match admitted {
        Ok(()) => answer(deadline, request, next).await?,
        Err(problem) => request.error_response(problem),
    };
    if let Some(rest) = rest {
        response = response.map_body(|_, answer| Early { answer, rest }.boxed());
    }
    if is_last {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// An answer before the request's body has ended. Actix reads on what nobody holds any
/// more, for as long as the client likes; while somebody holds it, the connection is
/// closed after the answer.
pub(super) struct Early<T> {
    pub(super) answer: BoxBody,
    /// The rest of the request, or what holds it.
    #[expect(dead_code, reason = "held for as long as the answer is given")]
    pub(super) rest: T,
}

impl<T: Unpin> MessageBody for Early<T> {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(context)
    }
}

/// Nothing may hold on to the request meanwhile: middleware further in changes it. A
/// panic is of this request alone (ASVS 16.5.4): locks that others wait for are not
/// poisoned for them, and what was under way is undone like that of a client who hangs up.
async fn answer<B: MessageBody + 'static>(
    deadline: Deadline,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, Error> {
    let answer = AssertUnwindSafe(async { next.call(request).await }).catch_unwind();
    let mut answer = pin!(answer);
    // Most are there at once, and need no timer.
    let answered = match poll_immediate(answer.as_mut()).await {
        Some(answered) => Ok(answered),
        None => tokio::time::timeout(deadline.0, answer).await,
    };
    match answered {
        Ok(Ok(answered)) => Ok(answered?.map_into_boxed_body()),
        // Whoever hears of panics has written down what happened, and where.
        Ok(Err(_)) => Err(Problem::from(Kind::Internal).into()),
        Err(passed) => Err(Problem::unavailable(passed).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use actix_web::middleware::from_fn;
    use actix_web::web::{get, resource};
    use actix_web::{App, HttpResponse, HttpServer};

    use super::*;

    /// There is no such handler in the product.
    async fn panics() -> HttpResponse {
        panic!("as it must")
    }

    fn ask(connection: &mut TcpStream, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = vec![0; 4096];
        let length = connection.read(&mut answer).unwrap();
        answer.truncate(length);
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_is_the_failure_of_one_request() {
        let edge = Edge::new(&Settings::load(None, []).unwrap());
        let server = HttpServer::new(move || {
            let (guarded, check) = (edge.clone(), edge.clone());
            let guarded = resource("/guarded").route(get().to(panics)).wrap(from_fn(
                move |request, next: Next<BoxBody>| {
                    guarded
                        .clone()
                        .guard(Route::OTHER, Deadline::USUAL, request, next)
                },
            ));
            let check = resource("/check").route(get().to(panics)).wrap(from_fn(
                move |request, next: Next<BoxBody>| {
                    check.clone().guard_check(Route::OTHER, request, next)
                },
            ));
            let lives = get().to(async || "it lives");
            App::new().service(guarded).service(check).route("/", lives)
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0");
        let server = server.unwrap();
        let mut connection = TcpStream::connect(server.addrs()[0]).unwrap();
        tokio::spawn(server.run());

        for path in ["/guarded", "/check", "/guarded"] {
            let answer = ask(&mut connection, path);
            assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
            assert!(answer.contains("application/problem+json"), "{answer}");
            assert!(answer.contains("nosniff"), "{answer}");
            assert!(answer.contains(r#""code":"internal""#), "{answer}");
            assert!(!answer.contains("as it must"), "{answer}");
        }
        let answer = ask(&mut connection, "/");
        assert!(answer.ends_with("it lives"), "{answer}");
    }
}
