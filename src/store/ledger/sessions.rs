//! Use cases that concern sessions: finding, listing, touching and ending them.

use std::collections::HashSet;
use std::time::Duration;

use super::connection::Link;
use super::ending::{Ending, Opened};
use super::locks::lock_alive;
use super::{Committed, Ledger, pool, statements};
use crate::domain::audit::{Act, Action};
use crate::domain::digest::TokenDigest;
use crate::domain::id::{SessionId, UserId};
use crate::domain::page::{Page, PageOf};
use crate::domain::session::{Record, Selection, Session, SessionFilter};
use crate::domain::text::Line;
use crate::domain::time::Timestamp;
use crate::store::Unavailable;

/// How many sessions one transaction ends: few enough to hold up nobody.
const ENDED: i64 = 200;
/// How many sessions one statement counts.
const COUNTED: i64 = 10_000;
/// How many sessions are looked over at once for those that are over.
const LOOKED_OVER: i64 = 1000;
/// How far behind the others the clock of an instance may have been that has
/// issued a session.
pub(super) const SKEW: Duration = Duration::from_mins(1);

/// One step through the sessions of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    pub matched: usize,
    /// Where the next step goes on; `None` if this was the last.
    pub next: Option<SessionId>,
}

/// What became of touches. Of the sessions in neither list, a later time is known, or
/// somebody else is at work on them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Touched {
    pub recorded: Vec<SessionId>,
    /// There is no such session.
    pub absent: HashSet<SessionId>,
}

impl Batch {
    fn of(ids: &[SessionId], limit: i64) -> Self {
        let is_full = usize::try_from(limit).is_ok_and(|limit| ids.len() >= limit);
        Self {
            matched: ids.len(),
            next: ids.last().copied().filter(|_| is_full),
        }
    }
}

impl Ledger {
    /// The session of that digest and its user, vouched at the log's head.
    /// `None` if there is none or it has been ended; whether it has expired is
    /// for the caller to see.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn find_session(&self, digest: &TokenDigest) -> Result<Option<Record>, Unavailable> {
        let digest = *digest;
        let found = self.read(async move |link: Link<'_>| {
            let found = statements::sessions::record(link, &digest).await?;
            if found.is_read_only {
                return Err(pool::retired());
            }
            Ok(found.record)
        });
        Ok(found.await?.map(Into::into))
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
        let rows = self.read(async |link| statements::sessions::sessions_of(link, user).await);
        Ok(rows
            .await?
            .into_iter()
            .map(Session::from)
            .filter(|session| session.may_be_in_use(now))
            .collect())
    }

    /// Sessions of anybody that may be in use at `now`, the newest first.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn list_all_sessions(
        &self,
        filter: &SessionFilter,
        now: Timestamp,
        page: PageOf<SessionId>,
    ) -> Result<Page<Session, SessionId>, Unavailable> {
        let rows =
            self.read(async |link| statements::lists::sessions(link, filter, now, &page).await);
        let sessions = rows.await?.into_iter().map(Session::from).collect();
        Ok(Page::cut(sessions, page.limit, |session: &Session| {
            session.id
        }))
    }

    /// How many sessions [`Ledger::revoke_matching`] would end, among those after
    /// `after`; counts as many as one statement should.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn count_matching(
        &self,
        selection: &Selection,
        after: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Batch, Unavailable> {
        let ids = self.read(async |link| {
            let filter = selection.filter();
            statements::lists::unexpired(link, filter, now, after, COUNTED).await
        });
        Ok(Batch::of(&ids.await?, COUNTED))
    }

    /// Ends sessions of a filter, the newest first, as many as make a small
    /// transaction. Idle ones as well: the ledger may not have heard yet that one
    /// of them was seen.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done.
    pub async fn revoke_matching(
        &self,
        selection: &Selection,
        after: Option<SessionId>,
        reason: Option<&Line>,
        act: Act,
    ) -> Result<(Batch, Committed), Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let filter = selection.filter();
            let ids = statements::lists::unexpired(tx.link(), filter, act.at, after, ENDED).await?;
            let mut ending = Ending::default();
            let ended = ending.whichever(&mut tx, &ids).await?;
            let told = ended.into_iter().map(|(user, session)| {
                let event = act.did(Action::SessionRevoked, user, Some(session));
                event.because(reason.cloned())
            });
            let events: Vec<_> = told.collect();
            statements::log::insert_events(tx.link(), &events).await?;
            Ok((Batch::of(&ids, ENDED), ending.commit(tx).await?))
        })
        .await
    }

    /// Ends everyone's sessions, by one row.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done.
    pub async fn revoke_everyone(
        &self,
        reason: Option<Line>,
        act: Act,
    ) -> Result<Committed, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            // What was issued since is looked for by its id.
            let first_alive = SessionId::first_at(act.at - SKEW);
            statements::sessions::set_first_alive(tx.link(), first_alive).await?;
            let mut ending = Ending::default();
            ending.everyone();
            let event = act.did_to_nobody(Action::EveryoneRevoked).because(reason);
            statements::log::insert_event(tx.link(), &event).await?;
            ending.commit(tx).await
        })
        .await
    }

    /// The session of that id, if it may be in use at `now`.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn session(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>, Unavailable> {
        let row = self.read(async |link| statements::sessions::session(link, session).await);
        let session = row.await?.map(Session::from);
        Ok(session.filter(|session| session.may_be_in_use(now)))
    }

    /// Whose session it is, whatever has become of it.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn owner_of(&self, session: SessionId) -> Result<Option<UserId>, Unavailable> {
        self.read(async |link| statements::sessions::owner_of(link, session).await)
            .await
    }

    /// Records when sessions were seen. Never creates one, never moves a time back, and
    /// waits for nobody: a session that somebody else is at work on is passed over.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn touch_sessions(
        &self,
        touches: Vec<(SessionId, Timestamp)>,
    ) -> Result<Touched, Unavailable> {
        if touches.is_empty() {
            return Ok(Touched::default());
        }
        self.write(async |mut link| {
            let mut absent: HashSet<_> = touches.iter().map(|(session, _)| *session).collect();
            let recorded = statements::sessions::touch(link.reborrow(), touches).await?;
            for session in &recorded {
                absent.remove(session);
            }
            let others: Vec<_> = absent.iter().copied().collect();
            for session in statements::sessions::those_there(link, &others).await? {
                absent.remove(&session);
            }
            Ok(Touched { recorded, absent })
        })
        .await
    }

    /// Ends the session that a token opens. `None` if there is none (any more), and no
    /// copy.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer; it may or may not have
    /// been done.
    pub async fn log_out(
        &self,
        opened: Opened,
        act: Act,
    ) -> Result<Option<Committed>, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let mut ending = Ending::default();
            if !ending
                .opened(&mut tx, opened, Action::LoggedOut, act)
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
        self.bounded(async {
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
        self.bounded(async {
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
        reason: Option<Line>,
        act: Act,
    ) -> Result<(usize, Committed), Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            statements::users::lock_user(tx.link(), user).await?;
            let mut ending = Ending::default();
            let count = ending.all_but(&mut tx, user, None, act.at).await?;
            let event = act.did(Action::AllSessionsRevoked, user, None);
            let event = event.because(reason);
            statements::log::insert_event(tx.link(), &event).await?;
            Ok((count, ending.commit(tx).await?))
        })
        .await
    }

    /// Looks at the next sessions in the order of their ids, and deletes those that
    /// are over; says where to go on, `None` after the last.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn delete_dead_sessions(
        &self,
        after: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Option<SessionId>, Unavailable> {
        self.write(async |mut link| {
            let after = after.unwrap_or(SessionId::FIRST);
            let seen =
                statements::sessions::look_over(link.reborrow(), after, now, LOOKED_OVER).await?;
            let dead: Vec<_> = seen
                .iter()
                .filter(|(_, is_over)| *is_over)
                .map(|(id, _)| *id)
                .collect();
            statements::sessions::delete_sessions(link, &dead).await?;
            let is_full = i64::try_from(seen.len()).is_ok_and(|count| count >= LOOKED_OVER);
            Ok(seen.last().filter(|_| is_full).map(|(id, _)| *id))
        })
        .await
    }
}
