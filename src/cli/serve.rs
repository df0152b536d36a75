//! `gatelodge serve`.

use super::print::print;
use crate::config::Settings;
use crate::startup::Application;
use crate::telemetry;

pub(super) async fn serve(settings: Settings) -> anyhow::Result<()> {
    let traces = telemetry::start(&settings);
    let public_url = settings.server.public_url.clone();
    let (ledger, hot_store) = (settings.database.system(), settings.redis.system());
    let application = Application::build(settings).await?;
    if let Some(traces) = &traces {
        traces.begin(application.instance())?;
    }
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
    let ran = application.run().await;
    if let Some(traces) = traces {
        traces.end();
    }
    ran
}
