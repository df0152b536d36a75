//! When a session was last seen, without a write per request: what is due is
//! noted, merged, and written within half a second. A touch never creates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Sessions;
use crate::domain::digest::TokenDigest;
use crate::domain::session::Record;
use crate::domain::time::Timestamp;
use crate::store::Unavailable;
use crate::store::hot::Touch;

const FLUSH_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Touches {
    due: Mutex<HashMap<TokenDigest, (Arc<Record>, Timestamp)>>,
}

impl Touches {
    pub(super) fn note(&self, digest: &TokenDigest, record: &Arc<Record>, now: Timestamp) {
        if record.session.touch_is_due(now) {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            due.insert(*digest, (Arc::clone(record), now));
        }
    }

    fn take(&self) -> HashMap<TokenDigest, (Arc<Record>, Timestamp)> {
        std::mem::take(&mut *self.due.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sessions {
    pub(super) async fn flush_touches(&self) {
        for (digest, (record, seen_at)) in self.touches.take() {
            let mut seen = Record::clone(&record);
            seen.session.last_seen_at = seen_at;
            if record.ledger_touch_is_due(seen_at) {
                match self.ledger.touch_session(seen.session.id, seen_at).await {
                    Ok(_) => seen.ledger_seen_at = seen_at,
                    Err(error) => report(&error),
                }
            }
            // Absent: ended, expired or lost. The next check finds out which.
            match self.hot.touch(&digest, &Arc::new(seen), seen_at).await {
                Ok(Touch::Recorded | Touch::Absent) => {}
                Err(error) => report(&error),
            }
        }
    }
}

fn report(error: &Unavailable) {
    tracing::warn!(%error, "a touch was lost");
}

pub(super) fn flush_forever(sessions: &Arc<Sessions>) {
    let sessions = Arc::downgrade(sessions);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(FLUSH_INTERVAL).await;
            let Some(sessions) = sessions.upgrade() else {
                break;
            };
            sessions.flush_touches().await;
        }
    });
}
