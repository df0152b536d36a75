//! Use cases that concern sessions: finding, listing, touching and ending them.

use super::accounts::lock_alive;
use super::ending::Ending;
use super::{Committed, Ledger, bounded, statements};
use crate::domain::audit::{Act, Action};
use crate::domain::digest::TokenDigest;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::{Record, Session};
use crate::domain::time::Timestamp;
use crate::store::Unavailable;

impl Ledger {
    /// The session of that digest and its user, vouched at the log's head.
    /// `None` if there is none or it has been ended; whether it has expired is
    /// for the caller to see.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn find_session(&self, digest: &TokenDigest) -> Result<Option<Record>, Unavailable> {
        let row = bounded(async {
            let mut connection = self.reader().await?;
            statements::sessions::record(connection.link(), digest).await
        });
        Ok(row.await?.map(Into::into))
    }

    /// The user's sessions that may be in use at `now`, newest first, a thousand
    /// at most.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn list_sessions(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<Session>, Unavailable> {
        let rows = bounded(async {
            let mut connection = self.reader().await?;
            statements::sessions::sessions_of(connection.link(), user).await
        });
        Ok(rows
            .await?
            .into_iter()
            .map(Session::from)
            .filter(|session| session.may_be_in_use(now))
            .collect())
    }

    /// Records that a session was seen. Never creates one, and never moves the
    /// time back; `false` if there was nothing to record.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn touch_session(
        &self,
        session: SessionId,
        seen_at: Timestamp,
    ) -> Result<bool, Unavailable> {
        bounded(async {
            let mut connection = self.writer().await?;
            let changed = statements::sessions::touch(connection.link(), session, seen_at).await?;
            Ok(changed > 0)
        })
        .await
    }

    /// Ends the session that this token opens. `None` if there is none (any more).
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done.
    pub async fn log_out(
        &self,
        digest: TokenDigest,
        act: Act,
    ) -> Result<Option<Committed>, Unavailable> {
        bounded(async {
            let mut tx = self.begin().await?;
            let mut ending = Ending::default();
            if !ending
                .by_digest(&mut tx, digest, Action::LoggedOut, act)
                .await?
            {
                tx.abandon().await?;
                return Ok(None);
            }
            Ok(Some(ending.commit(tx).await?))
        })
        .await
    }

    /// Ends one session of a user. `None` if the user has no such session.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done.
    pub async fn revoke_session(
        &self,
        user: UserId,
        session: SessionId,
        act: Act,
    ) -> Result<Option<Committed>, Unavailable> {
        bounded(async {
            let mut tx = self.begin().await?;
            statements::users::lock_user(tx.link(), user).await?;
            let mut ending = Ending::default();
            if !ending.one(&mut tx, user, session).await? {
                tx.abandon().await?;
                return Ok(None);
            }
            let event = act.did(Action::SessionRevoked, user, Some(session));
            statements::log::insert_event(tx.link(), &event).await?;
            Ok(Some(ending.commit(tx).await?))
        })
        .await
    }

    /// Ends all sessions of a user but one, which must be alive; says how many
    /// were in use. `None` if it is not.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done.
    pub async fn revoke_other_sessions(
        &self,
        user: UserId,
        spared: SessionId,
        act: Act,
    ) -> Result<Option<(usize, Committed)>, Unavailable> {
        bounded(async {
            let mut tx = self.begin().await?;
            statements::users::lock_user(tx.link(), user).await?;
            if !lock_alive(&mut tx, user, spared, act.at).await? {
                tx.abandon().await?;
                return Ok(None);
            }
            let mut ending = Ending::default();
            let count = ending.all_but(&mut tx, user, Some(spared), act.at).await?;
            let event = act.did(Action::OtherSessionsRevoked, user, Some(spared));
            statements::log::insert_event(tx.link(), &event).await?;
            Ok(Some((count, ending.commit(tx).await?)))
        })
        .await
    }

    /// Ends all sessions of a user; says how many were in use.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done.
    pub async fn revoke_all_sessions(
        &self,
        user: UserId,
        act: Act,
    ) -> Result<(usize, Committed), Unavailable> {
        bounded(async {
            let mut tx = self.begin().await?;
            statements::users::lock_user(tx.link(), user).await?;
            let mut ending = Ending::default();
            let count = ending.all_but(&mut tx, user, None, act.at).await?;
            let event = act.did(Action::AllSessionsRevoked, user, None);
            statements::log::insert_event(tx.link(), &event).await?;
            Ok((count, ending.commit(tx).await?))
        })
        .await
    }

    /// Deletes up to `limit` sessions that have expired; says how many.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn delete_expired_sessions(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Unavailable> {
        bounded(async {
            let mut connection = self.writer().await?;
            statements::sessions::delete_expired(connection.link(), now, limit.into()).await
        })
        .await
    }
}
