//! What a transaction ends, gathered until it commits.

use super::connection::Transaction;
use super::{Committed, statements};
use crate::domain::audit::{Act, Action};
use crate::domain::digest::TokenDigest;
use crate::domain::id::{SessionId, UserId};
use crate::domain::revocation::Revocation;
use crate::domain::session::Session;

#[derive(Default)]
pub(super) struct Ending {
    log: Vec<Revocation>,
    ended: Vec<TokenDigest>,
}

impl Ending {
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
        let Some(digest) = statements::delete_session(tx.link(), user, session).await? else {
            return Ok(false);
        };
        self.log.push(Revocation::SessionEnded(session));
        self.ended.push(digest);
        Ok(true)
    }

    /// Ends the session that a token opens, in its own user's name. `false` if
    /// there is none.
    pub(super) async fn by_digest(
        &mut self,
        tx: &mut Transaction,
        digest: TokenDigest,
        action: Action,
        act: Act,
    ) -> Result<bool, sqlx::Error> {
        let deleted = statements::delete_session_by_digest(tx.link(), &digest).await?;
        let Some((user, session)) = deleted else {
            return Ok(false);
        };
        self.log.push(Revocation::SessionEnded(session));
        self.ended.push(digest);
        let event = act.by(user).did(action, user, Some(session));
        statements::insert_event(tx.link(), &event).await?;
        Ok(true)
    }

    /// Ends all sessions of a user there are now, but for the one spared; says
    /// how many. The one spared may be inserted later in the transaction.
    pub(super) async fn all_but(
        &mut self,
        tx: &mut Transaction,
        user: UserId,
        spared: Option<SessionId>,
    ) -> Result<usize, sqlx::Error> {
        let digests = statements::delete_sessions_of(tx.link(), user, spared).await?;
        let count = digests.len();
        self.ended.extend(digests);
        self.log.push(Revocation::UserEnded { user, spared });
        Ok(count)
    }

    /// Makes room for one more session within the user's limit: the oldest end.
    pub(super) async fn over_limit(
        &mut self,
        tx: &mut Transaction,
        user: UserId,
        max: usize,
        act: Act,
    ) -> Result<(), sqlx::Error> {
        let sessions = statements::sessions_of(tx.link(), user).await?;
        let surplus = sessions
            .into_iter()
            .map(|row| (row.digest, Session::from(row)))
            .filter(|(_, session)| !session.is_expired(act.at) && !session.is_idle(act.at))
            .skip(max.saturating_sub(1));
        for (digest, _) in surplus {
            self.by_digest(tx, digest, Action::SessionRevoked, act)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn commit(self, tx: Transaction) -> Result<Committed, sqlx::Error> {
        Ok(Committed {
            entries: tx.commit(&self.log).await?,
            ended: self.ended,
        })
    }
}
