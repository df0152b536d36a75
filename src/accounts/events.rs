//! The audit log: reading it, and writing down what was refused (ASVS 16.3.1, 16.3.2).
//!
//! What is done is written in the transaction that does it. A refusal has none, and
//! anybody can cause one: an instance writes so many a minute, and no more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tracing::field;

use super::Accounts;
use crate::domain::audit::{Action, Actor, Event, EventFilter, Recorded, Source};
use crate::domain::id::EventId;
use crate::domain::page::{Page, PageOf};
use crate::domain::session::Record;
use crate::domain::text::Line;
use crate::domain::time::Timestamp;
use crate::store::Unavailable;
use crate::telemetry::metrics::AUDIT_DROPPED;
use crate::telemetry::traces::STEPS;

/// Of each action. It keeps a flood from filling the disk; the log has a line for each
/// request all the same.
const REFUSALS_A_MINUTE: u32 = 600;

/// The refusals of the current minute that were written down, by action.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<Action, (i64, u32)>>);

impl Refusals {
    /// Counts one; says how many that makes.
    fn count(&self, action: Action, at: Timestamp) -> u32 {
        const MINUTE: i64 = 60_000;
        let now = at.as_millis().div_euclid(MINUTE);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (minute, count) = counts.entry(action).or_default();
        if *minute != now {
            (*minute, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count
    }
}

impl Accounts {
    /// What was done, the latest first.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn list_events(
        &self,
        filter: EventFilter,
        page: PageOf<EventId>,
    ) -> Result<Page<Recorded, EventId>, Unavailable> {
        self.ledger.list_events(filter, page).await
    }

    /// What was done, the oldest first: up to `limit` of what came after an event.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn events_after(
        &self,
        filter: EventFilter,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<Recorded>, Unavailable> {
        self.ledger.events_after(filter, after, limit).await
    }

    /// Writes down that a user who is logged in asked for what only an admin may. It
    /// stays refused if that fails.
    pub fn denied(&self, by: &Record, what: Option<Line>, source: Source) {
        let (user, session) = (by.session.user_id, by.session.id);
        let act = self.sessions.act(Actor::User(user), source);
        let mut event = act.did(Action::AccessDenied, user, Some(session));
        event.detail = what.map(|what| what.to_string());
        self.write_down(event);
    }

    /// Writes a refusal down, unless there were too many this minute. Nobody waits for it.
    pub(super) fn write_down(&self, event: Event) {
        let Some(event) = self.refusal(event) else {
            return;
        };
        let ledger = self.ledger.clone();
        self.sessions.begin(async move {
            if let Err(error) = ledger.record(&event).await {
                let (action, user) = (event.action.as_str(), event.subject.map(field::display));
                let session = event.session.map(field::display);
                tracing::warn!(%error, action, user, session, "a refusal is not in the audit log");
            }
        });
    }

    /// What is written down of a refusal: nothing, if there were too many this minute.
    pub(super) fn refusal(&self, event: Event) -> Option<Event> {
        let count = self.refusals.count(event.action, event.act.at);
        if count == REFUSALS_A_MINUTE + 1 {
            tracing::warn!(
                action = event.action.as_str(),
                "too many: the rest of this minute's are in the log alone"
            );
        }
        if count > REFUSALS_A_MINUTE {
            AUDIT_DROPPED.count(());
            return None;
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_action_and_minute() {
        let refusals = Refusals::default();
        let at = |millis| Timestamp::from_millis(millis);
        assert_eq!(refusals.count(Action::LoginFailed, at(60_000)), 1);
        assert_eq!(refusals.count(Action::LoginFailed, at(119_999)), 2);
        assert_eq!(refusals.count(Action::AccessDenied, at(119_999)), 1);
        assert_eq!(refusals.count(Action::LoginFailed, at(120_000)), 1);
    }
}
