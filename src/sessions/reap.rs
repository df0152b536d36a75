//! Removes from the ledger what is over: sessions, links, old events. Nothing
//! else depends on it.

use std::sync::Arc;
use std::time::Duration;

use super::Sessions;
use crate::store::Unavailable;

const INTERVAL: Duration = Duration::from_mins(1);
/// Small enough to hold no lock for long.
const BATCH: u32 = 1000;

pub(super) fn reap_forever(sessions: &Arc<Sessions>) {
    let sessions = Arc::downgrade(sessions);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let Some(sessions) = sessions.upgrade() else {
                break;
            };
            if let Err(error) = sessions.reap().await {
                tracing::warn!(%error, "what is over was left in the ledger");
            }
        }
    });
}

impl Sessions {
    async fn reap(&self) -> Result<(), Unavailable> {
        let (ledger, now) = (&self.ledger, self.clock.now());
        let forgotten = now - self.policy.audit_retention;
        in_batches(|| ledger.delete_expired_sessions(now, BATCH)).await?;
        in_batches(|| ledger.delete_everyones_sessions(BATCH)).await?;
        in_batches(|| ledger.delete_events(forgotten, BATCH)).await?;
        ledger.delete_expired_links(now).await
    }
}

async fn in_batches<F>(delete: impl Fn() -> F) -> Result<(), Unavailable>
where
    F: Future<Output = Result<u64, Unavailable>>,
{
    while delete().await? >= BATCH.into() {}
    Ok(())
}
