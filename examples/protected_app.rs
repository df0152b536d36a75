//! An app of its own, protected by Gatelodge: `cargo run --example protected_app`,
//! then log in at /api/login and open /notes with the cookie.
//!
//! Where Gatelodge runs as a service of its own on PostgreSQL and Redis, start
//! this with the same settings and leave out `mount`: both know the same
//! sessions, and a session ended at one is refused at the other.

use actix_web::web::{get, scope};
use actix_web::{App, HttpServer};
use gatelodge::config::Settings;
use gatelodge::{CurrentSession, Gate};

async fn notes(session: CurrentSession) -> String {
    format!("The notes of {}.\n", session.user().name)
}

async fn statistics() -> &'static str {
    "Only administrators see this.\n"
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::load(None, std::env::vars())?;
    let services = gatelodge::connect(&settings).await?;
    let app_services = services.clone();
    HttpServer::new(move || {
        App::new()
            // The log-in API under /api, and what the gates need.
            .configure(|app| app_services.mount(app))
            .service(
                scope("/notes")
                    .wrap(Gate::session())
                    .route("", get().to(notes)),
            )
            .service(
                scope("/statistics")
                    .wrap(Gate::admin())
                    .route("", get().to(statistics)),
            )
    })
    .bind(settings.server.bind)?
    .run()
    .await?;
    services.stop().await;
    Ok(())
}
