//! `gatelodge serve`.

use std::net::IpAddr;

use super::print::print;
use super::supervisor;
use crate::config::Settings;
use crate::startup::{self, Application};
use crate::telemetry;

pub(super) async fn serve(settings: Settings) -> anyhow::Result<()> {
    let traces = telemetry::start(&settings);
    let public_url = settings.server.public_url.clone();
    let listening = settings.server.examine_address();
    let (ledger, hot_store) = (settings.database.system(), settings.redis.system());
    // It may wait long for another instance's migration.
    let application = tokio::select! {
        built = Application::build(settings) => built?,
        () = startup::stop_signal() => return Ok(()),
    };
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
    if let Some(address) = application.metrics_address() {
        print(&format!("metrics: http://{address}/metrics"))?;
        if !is_private(address.ip()) {
            tracing::warn!(%address, "strangers may reach the metrics: bind them to an address of your own network");
        }
    }
    if let Some(link) = application.setup_link() {
        print(&format!(
            "there is no admin yet: set one up within an hour at\n  {link}\n\
             (`gatelodge setup-link` prints a new link)"
        ))?;
    }
    if let Some(mend) = listening.mend {
        tracing::warn!(
            found = listening.found,
            mend,
            "server.bind and server.public_url do not fit"
        );
    }
    if let Err(error) = supervisor::tell_it_is_ready() {
        tracing::warn!(%error, "nobody at NOTIFY_SOCKET could be told that the service is ready");
    }
    let ran = application.run().await;
    if let Some(traces) = traces {
        traces.end();
    }
    ran
}

/// Whether only this machine or its own network reaches an address.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
