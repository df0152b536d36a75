//! Removes from the ledger what is over: sessions, links, attempts, exchanged JWTs, old
//! events. One instance does it, once a minute. Nothing but lists that end sooner depends
//! on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Sessions;
use crate::domain::time::Timestamp;
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
            sessions.reap().await;
        }
    });
}

impl Sessions {
    async fn reap(&self) {
        let now = self.clock.now();
        match self.ledger.begin_chores(now, now - INTERVAL).await {
            Ok(true) => {
                report(self.reap_sessions(now).await, "dead sessions");
                report(self.reap_events(now).await, "old events");
                report(self.ledger.delete_expired_links(now).await, "expired links");
                report(self.reap_attempts(now).await, "old attempts");
                report(self.reap_jwts(now).await, "expired JWTs");
                report(self.ledger.forget_struck_off().await, "lost instances");
            }
            Ok(false) => {}
            Err(error) => report(Err(error), "what is over"),
        }
    }

    async fn reap_sessions(&self, now: Timestamp) -> Result<(), Unavailable> {
        let mut after = None;
        loop {
            let begun = Instant::now();
            after = self.ledger.delete_dead_sessions(after, now).await?;
            if after.is_none() {
                return Ok(());
            }
            // Half of the time is everybody else's.
            tokio::time::sleep(begun.elapsed()).await;
        }
    }

    async fn reap_attempts(&self, now: Timestamp) -> Result<(), Unavailable> {
        while self.ledger.delete_expired_attempts(now, BATCH).await? >= BATCH.into() {}
        Ok(())
    }

    async fn reap_jwts(&self, now: Timestamp) -> Result<(), Unavailable> {
        while self.ledger.delete_expired_jwts(now, BATCH).await? >= BATCH.into() {}
        Ok(())
    }

    async fn reap_events(&self, now: Timestamp) -> Result<(), Unavailable> {
        let forgotten = now - self.policy.audit_retention;
        while self.ledger.delete_events(forgotten, BATCH).await? >= BATCH.into() {}
        Ok(())
    }
}

fn report(outcome: Result<(), Unavailable>, what: &str) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "{what} were left in the ledger");
    }
}
