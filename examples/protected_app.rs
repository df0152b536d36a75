//! An app of its own, protected by Gatelodge: `cargo run --example protected_app`, register at
//! <http://localhost:8080/register>, then open /notes. `cargo run -- setup-link`, in the same
//! folder, prints the link that makes an administrator, for /statistics.
//!
//! Where Gatelodge runs as a service of its own on PostgreSQL and Redis, put `attach` in the place
//! of `mount`: both know the same sessions, and a session ended at one is refused at the other.
//! The app takes the service's settings, but for three of its own: `server.bind`,
//! `database.migrate = false`, and its origin in `cors.allowed_origins`, so that its gates take
//! what its own pages send. Browsers reach it by the service's host, or `cookie.domain` is that of
//! both.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::{Data, get, post, scope};
use actix_web::{App, HttpResponse, HttpServer};
use gatelodge::config::Settings;
use gatelodge::domain::audit::{Actor, Source};
use gatelodge::sessions::Effect;
use gatelodge::{AdminSession, CurrentSession, Gate, Services};

async fn notes(session: CurrentSession) -> String {
    format!("The notes of {}.\n", session.user().name)
}

async fn statistics(admin: AdminSession) -> String {
    format!("Only administrators see this, {}.\n", admin.user().name)
}

/// Ends all sessions of whoever asks, this one included.
async fn leave(session: CurrentSession, services: Data<Services>) -> HttpResponse {
    let (user, sessions) = (session.user().id, services.sessions());
    let act = sessions.act(Actor::User(user), Source::default());
    if let Err(error) = sessions.revoke_all(user, None, act).await {
        // Clients are told nothing of why.
        tracing::error!(%error, "sessions may not have been ended");
        return HttpResponse::ServiceUnavailable().finish();
    }
    // From here on, this instance refuses them; the others do within a second.
    match sessions.effect(Duration::from_secs(2)).await {
        Effect::Everywhere => HttpResponse::NoContent().finish(),
        Effect::Pending(_) => HttpResponse::Accepted().finish(),
    }
}

/// Answers at `bind`: where, since the system chooses if that is port 0.
///
/// # Errors
/// If the port cannot be listened on.
pub fn serve(services: Services, bind: SocketAddr) -> io::Result<(SocketAddr, Server)> {
    let server = HttpServer::new(move || {
        let notes = scope("/notes")
            .wrap(Gate::session())
            .route("", get().to(notes))
            .route("/leave", post().to(leave));
        let statistics = scope("/statistics")
            .wrap(Gate::admin())
            .route("", get().to(statistics));
        App::new()
            // The pages and the API of Gatelodge, and what the gates need.
            .configure(|app| services.mount(app))
            .service(notes)
            .service(statistics)
    })
    .disable_signals()
    .bind(bind)?;
    Ok((server.addrs()[0], server.run()))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::load(None, std::env::vars())?;
    let _traces = gatelodge::telemetry::start(&settings);
    let services = gatelodge::connect(&settings).await?;
    let ended = run(services.clone(), settings.server.bind).await;
    services.stop().await;
    Ok(ended?)
}

/// Answers until SIGTERM or SIGINT.
async fn run(services: Services, bind: SocketAddr) -> io::Result<()> {
    let ending = services.ending().clone();
    let (_, server) = serve(services, bind)?;
    let handle = server.handle();
    tokio::spawn(async move {
        gatelodge::startup::stop_signal().await;
        // /health/ready is 503 from now on, and streams end.
        ending.announce();
        handle.stop(true).await;
    });
    server.await
}
