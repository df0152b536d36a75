//! What a verifier knows of the revocation log, and what follows from it. Order is by
//! log number; only what a log that was set back may have lost is told by time.

use std::time::Duration;

use super::Refused;
use crate::domain::jwt::SessionClaims;
use crate::domain::revocation::{Entry, Head, LogNumber, Mark};
use crate::domain::time::{Timestamp, Uptime};
use crate::domain::view::{Gap, View};

/// How long it counts that there was nothing else, after that was said.
pub(super) const LEASE: Duration = Duration::from_secs(5);

/// Entries: a few MB. When there have been more in a JWT's lifetime, the oldest JWTs are
/// refused as [`Refused::Outdated`].
const CAPACITY: usize = 100_000;

#[derive(Default)]
pub(super) struct Knowledge {
    /// `None` before the first word of the log.
    view: Option<View>,
    /// What was issued before is not believed: the log has been set back since.
    believed_from: Option<Timestamp>,
    /// When it was last said that there was nothing else, at the latest.
    vouched_at: Option<Uptime>,
}

impl Knowledge {
    /// Entries follow that number from now on.
    pub(super) fn begin(&mut self, after: LogNumber) {
        let head = Head {
            number: after,
            // Nothing here asks for it.
            mark: Mark([0; 16]),
        };
        self.view = Some(View::starting_at(head, CAPACITY));
    }

    /// The same, after the log was set back, as was found at that time.
    pub(super) fn begin_anew(&mut self, after: LogNumber, at: Timestamp) {
        self.believed_from = self.believed_from.max(Some(at));
        self.begin(after);
    }

    /// # Errors
    /// If an entry is missing.
    pub(super) fn take_in(&mut self, entry: Entry) -> Result<(), Gap> {
        self.view.as_mut().ok_or(Gap)?.advance(&[entry])
    }

    /// There was nothing else at that time.
    pub(super) const fn vouch(&mut self, at: Uptime) {
        self.vouched_at = Some(at);
    }

    pub(super) fn is_current(&self, now: Uptime) -> bool {
        self.vouched_at.is_some_and(|at| now.since(at) < LEASE)
    }

    /// Whether the log leaves a session to its JWT.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn judge(&self, claims: &SessionClaims) -> Result<(), Refused> {
        let Some(view) = &self.view else {
            return Ok(());
        };
        let issued_at = Timestamp::from(claims.iat);
        if view.ends(claims.sid, claims.sub, claims.rev) {
            Err(Refused::Ended)
        } else if self.believed_from.is_some_and(|from| issued_at < from)
            || claims.rev < view.floor()
            || view.outdates(claims.sub, claims.rev)
        {
            Err(Refused::Outdated)
        } else {
            Ok(())
        }
    }
}
