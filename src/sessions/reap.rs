//! Removes expired sessions from the ledger. Checks do not depend on it.

use std::sync::Arc;
use std::time::Duration;

use super::Sessions;

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
            sessions.reap().await;
        }
    });
}

impl Sessions {
    async fn reap(&self) {
        loop {
            let now = self.clock.now();
            match self.ledger.delete_expired_sessions(now, BATCH).await {
                Ok(deleted) if deleted >= BATCH.into() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "expired sessions were left");
                    break;
                }
            }
        }
    }
}
