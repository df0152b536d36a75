//! Answers requests on a port. As actix's own `HttpServer` does, but on connections that
//! are cut if their client is slow.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use actix_http::{ConnectionType, HttpService, Protocol, ResponseHead, error::DispatchError};
use actix_service::{
    IntoServiceFactory as _, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, ServiceRequest, ServiceResponse};
use actix_web::rt::net::TcpStream;
use tracing_actix_web::TracingLogger;

use super::connection::{Connection, HEAD_TIMEOUT, KEEP_ALIVE};
use super::ending::Ending;
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

/// Where to answer, how much, and until when.
pub(super) struct Place {
    /// Names the threads' work.
    pub(super) name: &'static str,
    pub(super) listener: TcpListener,
    pub(super) capacity: Capacity,
    pub(super) ending: Ending,
}

/// Answers requests until its handle stops it. Whoever does announces it, and closes the
/// connections, by [`Ending`]: left to itself, actix would close one that is about to be
/// used, and throw away a request that has just come.
///
/// # Errors
/// If the port cannot be listened on.
pub fn serve(listener: TcpListener, services: Services, capacity: Capacity) -> io::Result<Server> {
    let place = Place {
        name: "http",
        listener,
        capacity,
        ending: services.ending.clone(),
    };
    answer(place, move || {
        let mounted = services.clone();
        App::new()
            .configure(|app| mounted.mount(app))
            .configure(|app| mounted.mount_fallback(app))
            .wrap(TracingLogger::<RequestSpan>::new())
    })
}

/// Answers requests; each thread has an app of its own.
pub(super) fn answer<T, B>(
    place: Place,
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
    let Place {
        name,
        listener,
        capacity,
        ending,
    } = place;
    let server = Server::build()
        .workers(capacity.workers)
        .max_concurrent_connections(capacity.connections)
        .disable_signals();
    let server = server.listen(name, listener, move || {
        // Shared, since each request takes one along.
        let answered = Rc::new(ending.clone());
        let (opened, failed) = (ending.clone(), Rc::clone(&answered));
        let app = app()
            .into_factory()
            .map(move |mut response| {
                last_of(&answered, response.response_mut().head_mut());
                response
            })
            .map_err(move |error: actix_web::Error| {
                let mut response = error.error_response();
                last_of(&failed, response.head_mut());
                response
            });
        let http = HttpService::build()
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(FAREWELL)
            .on_connect_ext(|connection: &Connection, data| {
                data.insert(connection.requests());
            })
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(move |socket: TcpStream| {
            let opened = opened.open();
            async move {
                // A client that is gone already could not be counted by its address.
                let client = Some(socket.peer_addr()?);
                let connection = Connection::new(socket, opened);
                Ok::<_, DispatchError>((connection, Protocol::Http1, client))
            }
        })
        .and_then(http)
    })?;
    Ok(server.run())
}

/// The client must not rely on a connection that will not be there for its next request
/// (RFC 9112, 9.6).
fn last_of(ending: &Ending, answer: &mut ResponseHead) {
    if ending.is_announced() {
        answer.set_connection_type(ConnectionType::Close);
    }
}
