//! `gatelodge serve`.

use super::print::print;
use super::supervisor;
use crate::config::Settings;
use crate::startup::Application;
use crate::telemetry;

pub(super) async fn serve(settings: Settings) -> anyhow::Result<()> {
    telemetry::start(&settings.log);
    let public_url = settings.server.public_url.clone();
    let ledger = if settings.database.is_sqlite() {
        "SQLite"
    } else {
        "PostgreSQL"
    };
    let hot_store = if settings.redis.url.is_some() {
        "Redis"
    } else {
        "none"
    };
    let application = Application::build(settings).await?;
    let address = application.address();
    print(&format!(
        "gatelodge {} listens on http://{address}\n\
         ledger: {ledger}, hot store: {hot_store}, public URL: {}",
        env!("CARGO_PKG_VERSION"),
        public_url.origin()
    ))?;
    if let Some(link) = application.setup_link() {
        print(&format!(
            "there is no admin yet: set one up within an hour at\n  {link}\n\
             (`gatelodge setup-link` prints a new link)"
        ))?;
    }
    if address.ip().is_loopback() && !public_url.is_loopback() {
        tracing::warn!(%address, public_url = public_url.origin(), "only this machine reaches the address bound");
    }
    if let Err(error) = supervisor::tell_it_is_ready() {
        tracing::warn!(%error, "nobody at NOTIFY_SOCKET could be told that the service is ready");
    }
    application.run().await
}
