//! Answers requests on a port. As actix's own `HttpServer` does, but on connections that
//! are cut if their client is slow.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_http::{HttpService, Protocol, error::DispatchError};
use actix_service::{
    IntoServiceFactory as _, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, ServiceRequest, ServiceResponse};
use actix_web::rt::net::TcpStream;
use tracing_actix_web::TracingLogger;

use super::connection::{Connection, HEAD_TIMEOUT, KEEP_ALIVE};
use super::services::Services;
use super::span::RequestSpan;

/// How long a connection goes on that was answered before its request had ended, so
/// that the client can read the answer.
const FAREWELL: Duration = Duration::from_secs(3);

/// How much at once.
#[derive(Clone, Copy)]
pub struct Capacity {
    /// Threads that answer requests.
    pub workers: usize,
    /// Connections of each.
    pub connections: usize,
}

/// Where to answer, and how much.
pub(super) struct Place {
    /// Names the threads' work.
    pub(super) name: &'static str,
    pub(super) listener: TcpListener,
    pub(super) capacity: Capacity,
    /// How long requests under way may take in the end.
    pub(super) grace: Duration,
}

/// Answers requests until `stop`, and then for `grace` at most those under way.
///
/// # Errors
/// If the port cannot be listened on.
pub fn serve(
    listener: TcpListener,
    services: Services,
    capacity: Capacity,
    stop: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> io::Result<Server> {
    let place = Place {
        name: "http",
        listener,
        capacity,
        grace,
    };
    answer(place, stop, move || {
        let mounted = services.clone();
        App::new()
            .configure(|app| mounted.mount(app))
            .configure(|app| mounted.mount_fallback(app))
            .wrap(TracingLogger::<RequestSpan>::new())
    })
}

/// Answers requests until `stop`; each thread has an app of its own.
pub(super) fn answer<T, B>(
    place: Place,
    stop: impl Future<Output = ()> + Send + 'static,
    app: impl Fn() -> App<T> + Send + Clone + 'static,
) -> io::Result<Server>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    let server = Server::build()
        .workers(place.capacity.workers)
        .max_concurrent_connections(place.capacity.connections)
        .shutdown_signal(stop)
        .shutdown_timeout(place.grace.as_secs().max(1));
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen(place.name, place.listener, move || {
        let stopping = stopping.clone();
        let app = app()
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(FAREWELL)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|connection: &Connection, data| {
                data.insert(connection.requests());
            })
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(async |socket: TcpStream| {
            // A client that is gone already could not be counted by its address.
            let client = Some(socket.peer_addr()?);
            Ok::<_, DispatchError>((Connection::new(socket), Protocol::Http1, client))
        })
        .and_then(http)
    })?;
    Ok(server.run())
}
