//! Gatelodge's gate, as any actix app has it. The sessions are those in the ledger.

use anyhow::Result;
use gatelodge::Gate;
use gatelodge::config::Settings;

use super::{route, run};

pub(super) async fn serve(settings: &Settings) -> Result<()> {
    let services = gatelodge::connect(settings).await?;
    run(&[], move |app| {
        services.attach(app);
        app.service(route().wrap(Gate::session()));
    })
    .await
}
