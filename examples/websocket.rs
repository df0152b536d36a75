//! A service that keeps connections open, and closes them when their session ends. It
//! knows sessions by the JWTs that Gatelodge mints from them, and hears of revocations:
//!
//! ```sh
//! GATELODGE_ADDRESS=http://localhost:8080 GATELODGE_CREDENTIAL=… cargo run --example websocket
//! ```
//!
//! The address is its issuer, too (`tokens.issuer`); the credential is one of
//! `revocations.credentials`; a template of `tokens.templates` has the audience `notes`. A page
//! opens a WebSocket with the protocols `bearer` and the JWT, since it cannot set a header;
//! everybody else sends `Authorization: Bearer …`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a program"
)]

use std::any::Any;
use std::convert::Infallible;
use std::env;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::error::InternalError;
use actix_web::http::header::{
    AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL, WWW_AUTHENTICATE,
};
use actix_web::rt::net::TcpStream;
use actix_web::web::{Bytes, Data, Payload, get};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer};
use actix_ws::{CloseCode, CloseReason, Closed, Message, MessageStream, Session};
use futures_util::{StreamExt as _, stream};
use gatelodge::verifier::{Credential, Refused, Settings, Verified, Verifier};

/// Come back with a new JWT, if there is still a session to ask for one.
const ENDED: CloseCode = CloseCode::Other(4001);

/// How long somebody may take to close the connection in turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a request came by. actix-web writes to the end whatever it has begun, which whoever
/// reads nothing could delay for ever.
#[derive(Clone)]
struct Connection(Arc<std::net::TcpStream>);

impl Connection {
    fn of(accepted: &dyn Any) -> Option<Self> {
        let accepted = accepted.downcast_ref::<TcpStream>()?;
        let same = accepted.as_fd().try_clone_to_owned().ok()?;
        Some(Self(Arc::new(same.into())))
    }

    fn cut(&self) {
        // It may have been closed already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

async fn converse(
    request: HttpRequest,
    body: Payload,
    verifier: Data<Verifier>,
) -> Result<HttpResponse, Error> {
    let protocols = request.headers().get(SEC_WEBSOCKET_PROTOCOL);
    let jwt = protocols.and_then(|it| it.to_str().ok()?.strip_prefix("bearer, "));
    let accepted = accepted(&verifier, jwt)?;
    let (mut response, session, messages) = actix_ws::handle(&request, body)?;
    let bearer = HeaderValue::from_static("bearer");
    response
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, bearer);
    let connection = request.conn_data::<Connection>().cloned();
    actix_web::rt::spawn(async move {
        answer(&verifier, &accepted, session, messages).await;
        if let Some(connection) = connection {
            connection.cut();
        }
    });
    Ok(response)
}

async fn answer(
    verifier: &Verifier,
    accepted: &Verified,
    mut session: Session,
    mut messages: MessageStream,
) {
    let user = accepted.claims.sub;
    // Whoever reads nothing keeps an answer waiting, and must not keep the end.
    let conversation = async {
        while let Some(Ok(message)) = messages.next().await {
            match message {
                Message::Text(text) => session.text(format!("{user} says {text}")).await?,
                Message::Ping(bytes) => session.pong(&bytes).await?,
                Message::Close(_) => break,
                _ => {}
            }
        }
        Ok::<_, Closed>(())
    };
    let reason = tokio::select! {
        biased;
        refused = verifier.until_refused(accepted) => {
            Some(CloseReason { code: ENDED, description: Some(refused.to_string()) })
        }
        _ = conversation => None,
    };
    let goodbye = async {
        let _ = session.close(reason).await;
        // What still comes is not listened to.
        while messages.next().await.is_some() {}
    };
    let _ = tokio::time::timeout(PATIENCE, goodbye).await;
}

/// Server-sent events, one a second, until the session ends.
async fn events(request: HttpRequest, verifier: Data<Verifier>) -> Result<HttpResponse, Error> {
    let given = request.headers().get(AUTHORIZATION);
    let jwt = given.and_then(|it| it.to_str().ok()?.strip_prefix("Bearer "));
    let accepted = accepted(&verifier, jwt)?;
    let event = Bytes::from(format!("data: Hello, {}.\n\n", accepted.claims.sub));
    let beats = stream::unfold(Duration::ZERO, move |pause| {
        let event = event.clone();
        async move {
            tokio::time::sleep(pause).await;
            Some((Ok::<_, Infallible>(event), Duration::from_secs(1)))
        }
    });
    let end = async move { verifier.until_refused(&accepted).await };
    let answer = HttpResponse::Ok()
        .content_type("text/event-stream")
        .streaming(Box::pin(beats.take_until(Box::pin(end))));
    Ok(answer)
}

fn accepted(verifier: &Verifier, jwt: Option<&str>) -> Result<Verified, Error> {
    let refused = match jwt.map(|jwt| verifier.verify(jwt)) {
        Some(Ok(accepted)) => return Ok(accepted),
        Some(Err(refused)) => Some(refused),
        None => None,
    };
    eprintln!("refused: {refused:?}");
    let answer = match refused {
        Some(Refused::NoKeys) => HttpResponse::ServiceUnavailable().finish(),
        _ => HttpResponse::Unauthorized()
            .insert_header((WWW_AUTHENTICATE, "Bearer"))
            .finish(),
    };
    Err(InternalError::from_response("refused", answer).into())
}

/// Runs until it is stopped.
///
/// # Errors
/// If it cannot listen there.
pub fn serve(verifier: Verifier, bind: &str) -> std::io::Result<(SocketAddr, Server)> {
    let verifier = Data::new(verifier);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(verifier.clone())
            .route("/socket", get().to(converse))
            .route("/events", get().to(events))
    });
    let server = server.on_connect(|accepted, data| {
        if let Some(connection) = Connection::of(accepted) {
            data.insert(connection);
        }
    });
    let server = server.workers(1).bind(bind)?;
    Ok((server.addrs()[0], server.run()))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = env::var("GATELODGE_ADDRESS")?;
    let verifier = Verifier::connect(Settings {
        credential: Some(Credential::new(&env::var("GATELODGE_CREDENTIAL")?)?),
        ..Settings::new(address.parse()?, &address, "notes")
    })?;
    // Not before it hears of revocations.
    verifier.until_ready().await;
    let (address, server) = serve(verifier, "127.0.0.1:3000")?;
    println!("listens on http://{address}");
    server.await?;
    Ok(())
}
