//! When a session was last seen, without a write per request: what is due is
//! noted, merged, and written within half a second. A touch never creates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, TryStreamExt as _};

use super::Sessions;
use crate::domain::digest::TokenDigest;
use crate::domain::session::Record;
use crate::domain::time::Timestamp;
use crate::store::Unavailable;
use crate::store::hot::Touch;

const FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// How many are written at once.
const LEDGER_TOUCHES: usize = 4;
const HOT_TOUCHES: usize = 8;

#[derive(Default)]
pub(super) struct Touches {
    due: Mutex<HashMap<TokenDigest, (Arc<Record>, Timestamp)>>,
    /// Held while a batch is written, so that the last one waits for those before.
    flushing: tokio::sync::Mutex<()>,
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
    /// Tells the ledger first, since it alone can say that a session is idle;
    /// then the hot store. A store that does not answer ends its own part of the
    /// pass, so that a pass takes no longer than one failure.
    pub(super) async fn flush_touches(&self) {
        let _flushing = self.touches.flushing.lock().await;
        let due: Vec<_> = self.touches.take().into_iter().collect();
        let for_ledger = due
            .iter()
            .filter(|(_, (record, seen_at))| record.ledger_touch_is_due(*seen_at));
        let ledger_has_heard = stream::iter(for_ledger.map(Ok))
            .try_for_each_concurrent(LEDGER_TOUCHES, async |(_, (record, seen_at))| {
                let touched = self.ledger.touch_session(record.session.id, *seen_at).await;
                touched.map(drop)
            })
            .await;
        report(&ledger_has_heard);
        let hot_store_has_heard = stream::iter(due.iter().map(Ok))
            .try_for_each_concurrent(HOT_TOUCHES, async |(digest, (record, seen_at))| {
                let mut seen = Record::clone(record);
                seen.session.last_seen_at = *seen_at;
                if ledger_has_heard.is_ok() && record.ledger_touch_is_due(*seen_at) {
                    seen.ledger_seen_at = *seen_at;
                }
                // Absent: ended, expired or lost. The next check finds out which.
                match self.hot.touch(digest, &Arc::new(seen), *seen_at).await? {
                    Touch::Recorded | Touch::Absent => Ok(()),
                }
            })
            .await;
        report(&hot_store_has_heard);
    }
}

fn report(flushed: &Result<(), Unavailable>) {
    if let Err(error) = flushed {
        tracing::warn!(%error, "touches were lost");
    }
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
            sessions.forget_leftovers().await;
        }
    });
}
