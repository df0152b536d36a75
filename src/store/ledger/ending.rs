//! What a transaction ends, gathered until it commits.

use super::connection::Transaction;
use super::{Committed, statements};
use crate::domain::audit::{Act, Action};
use crate::domain::digest::TokenDigest;
use crate::domain::id::{SessionId, UserId};
use crate::domain::revocation::Revocation;
use crate::domain::time::Timestamp;

/// The session that a token opens, which is to end.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    pub digest: TokenDigest,
    /// Whose it is and its id, as a copy says that somebody may still believe. The
    /// ledger may have none: it deletes what it has not heard of for long.
    pub copy: Option<(UserId, SessionId)>,
}

impl From<TokenDigest> for Opened {
    fn from(digest: TokenDigest) -> Self {
        Self { digest, copy: None }
    }
}

#[derive(Default)]
pub(super) struct Ending {
    log: Vec<Revocation>,
    ended: Vec<TokenDigest>,
}

impl Ending {
    fn session(&mut self, session: SessionId, digest: TokenDigest) {
        self.log.push(Revocation::SessionEnded(session));
        self.ended.push(digest);
    }

    /// The user is no longer as copies say.
    pub(super) fn copies_of(&mut self, user: UserId) {
        self.log.push(Revocation::UserChanged(user));
    }

    /// `false` if the user has no such session.
    pub(super) async fn one(
        &mut self,
        tx: &mut Transaction,
        user: UserId,
        session: SessionId,
    ) -> Result<bool, sqlx::Error> {
        let Some(digest) = statements::sessions::delete_session(tx.link(), user, session).await?
        else {
            return Ok(false);
        };
        self.session(session, digest);
        Ok(true)
    }

    /// Ends the session that a token opens, in its own user's name. `false` if
    /// there is none, and no copy.
    pub(super) async fn opened(
        &mut self,
        tx: &mut Transaction,
        Opened { digest, copy }: Opened,
        action: Action,
        act: Act,
    ) -> Result<bool, sqlx::Error> {
        let deleted = statements::sessions::delete_session_by_digest(tx.link(), &digest).await?;
        let Some((user, session)) = deleted.or(copy) else {
            return Ok(false);
        };
        self.session(session, digest);
        let event = act.by(user).did(action, user, Some(session));
        statements::log::insert_event(tx.link(), &event).await?;
        Ok(true)
    }

    /// Ends all sessions a user has now, but for the one spared; says how many
    /// were in use. One row each in the log and of the user, however many there
    /// are; the copies are left to the view. The one spared may also be inserted
    /// later in the transaction.
    pub(super) async fn all_but(
        &mut self,
        tx: &mut Transaction,
        user: UserId,
        spared: Option<SessionId>,
        now: Timestamp,
    ) -> Result<usize, sqlx::Error> {
        let in_use = statements::sessions::count_sessions(tx.link(), user, now).await?;
        statements::users::next_generation(tx.link(), user).await?;
        let mut others = usize::try_from(in_use).unwrap_or(0);
        if let Some(spared) = spared
            && statements::sessions::spare_session(tx.link(), user, spared).await? > 0
        {
            others = others.saturating_sub(1);
        }
        self.log.push(Revocation::UserEnded { user, spared });
        Ok(others)
    }

    /// Makes room for one more session within the user's limit: the oldest end,
    /// a thousand at a time if the limit was lowered far below what there is.
    pub(super) async fn over_limit(
        &mut self,
        tx: &mut Transaction,
        user: UserId,
        max: usize,
        act: Act,
    ) -> Result<(), sqlx::Error> {
        let keep = max.saturating_sub(1);
        let surplus = statements::sessions::delete_surplus(tx.link(), user, keep, act.at).await?;
        let events: Vec<_> = surplus
            .iter()
            .map(|(session, _)| {
                act.by(user)
                    .did(Action::SessionRevoked, user, Some(*session))
            })
            .collect();
        statements::log::insert_events(tx.link(), &events).await?;
        for (session, digest) in surplus {
            self.session(session, digest);
        }
        Ok(())
    }

    /// Ends sessions of whomever, those that are still there; says which.
    pub(super) async fn whichever(
        &mut self,
        tx: &mut Transaction,
        ids: &[SessionId],
    ) -> Result<Vec<(UserId, SessionId)>, sqlx::Error> {
        let deleted = statements::sessions::delete_sessions(tx.link(), ids).await?;
        let mut ended = Vec::with_capacity(deleted.len());
        for (session, user, digest) in deleted {
            self.session(session, digest);
            ended.push((user, session));
        }
        Ok(ended)
    }

    /// Ends the sessions that everyone has now, by one row.
    pub(super) fn everyone(&mut self) {
        self.log.push(Revocation::EveryoneEnded);
    }

    pub(super) async fn commit(self, tx: Transaction) -> Result<Committed, sqlx::Error> {
        Ok(Committed {
            appended: tx.commit(&self.log).await?,
            ended: self.ended,
        })
    }
}
