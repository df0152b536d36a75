//! Answers requests on a port. As actix's own `HttpServer` does, but on connections that
//! are cut if their client is slow.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_http::{HttpService, Protocol, error::DispatchError};
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::App;
use actix_web::dev::{AppConfig, Server};
use actix_web::rt::net::TcpStream;
use tracing_actix_web::TracingLogger;

use super::connection::{Connection, HEAD_TIMEOUT, KEEP_ALIVE};
use super::services::Services;
use super::span::RequestSpan;

/// How long a connection goes on that was answered before its request had ended, so
/// that the client can read the answer.
const FAREWELL: Duration = Duration::from_secs(3);

/// How much at once.
pub struct Capacity {
    /// Threads that answer requests.
    pub workers: usize,
    /// Connections of each.
    pub connections: usize,
}

/// Answers requests until `stop`, and then for `grace` at most those under way.
///
/// # Errors
/// If the port cannot be listened on.
pub fn serve(
    listener: TcpListener,
    services: Services,
    capacity: &Capacity,
    stop: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> io::Result<Server> {
    let server = Server::build()
        .workers(capacity.workers)
        .max_concurrent_connections(capacity.connections)
        .shutdown_signal(stop)
        .shutdown_timeout(grace.as_secs().max(1));
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("http", listener, move || {
        let (mounted, stopping) = (services.clone(), stopping.clone());
        let app = App::new()
            .configure(|app| mounted.mount(app))
            .configure(|app| mounted.mount_fallback(app))
            .wrap(TracingLogger::<RequestSpan>::new())
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
