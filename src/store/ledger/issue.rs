//! The use cases that create a session: registering, logging in, changing the
//! password, exchanging another system's JWT. No other does.

use super::connection::Transaction;
use super::ending::{Ending, Opened};
use super::locks::{lock_asking, lock_named, lock_verified, refuse};
use super::{Committed, Ledger, NewUser, Refusal, attempts, statements};
use crate::domain::attempt::{Budget, Outcome};
use crate::domain::audit::{Act, Action};
use crate::domain::exchange::ForeignJwt;
use crate::domain::id::{SessionId, UserId};
use crate::domain::password::PasswordHash;
use crate::domain::revocation::Vouched;
use crate::domain::session::{Draft, Session};
use crate::domain::time::Timestamp;
use crate::domain::user::{CredentialVersion, Status, User};
use crate::store::Unavailable;

/// A session that the ledger has inserted.
#[derive(Debug)]
pub struct Issue {
    pub session: Session,
    /// Where the log stood when it was inserted.
    pub vouched: Vouched,
    /// As the transaction saw them.
    pub user: User,
    pub credential: CredentialVersion,
    pub committed: Committed,
}

/// A user's credential, and the attempt in which it was just told.
pub struct Proof<'a> {
    pub user: UserId,
    pub version: CredentialVersion,
    pub budgets: &'a [Budget],
}

/// Why a JWT opens no session, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotExchanged {
    UnknownAccount,
    Locked(UserId),
    /// It has been exchanged before.
    Used(UserId),
}

impl NotExchanged {
    #[must_use]
    pub const fn user(self) -> Option<UserId> {
        match self {
            Self::UnknownAccount => None,
            Self::Locked(user) | Self::Used(user) => Some(user),
        }
    }
}

impl Ledger {
    /// Creates a user together with a first session, and ends the session that
    /// this browser had before. `None` if the e-mail address is taken.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn register(
        &self,
        new: &NewUser,
        draft: &Draft,
        presented: Option<Opened>,
        act: Act,
    ) -> Result<Option<Issue>, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            if statements::users::insert_user(tx.link(), new).await? == 0 {
                tx.abandon().await?;
                return Ok(None);
            }
            let mut ending = Ending::default();
            if let Some(opened) = presented {
                ending
                    .opened(&mut tx, opened, Action::SessionRevoked, act)
                    .await?;
            }
            let new = (new.user.clone(), CredentialVersion::FIRST);
            issue(tx, ending, new, draft, (Action::Registered, &[]), act)
                .await
                .map(Some)
        })
        .await
    }

    /// Issues a session to a user whose credential of that version was just
    /// verified. Ends the session that this browser had before and, if there is
    /// a limit, the user's oldest sessions over it. `None` if that credential is
    /// no longer the user's, or the user is gone or locked.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn issue_session(
        &self,
        proof: Proof<'_>,
        draft: &Draft,
        presented: Option<Opened>,
        max_per_user: Option<usize>,
        act: Act,
    ) -> Result<Option<Issue>, Unavailable> {
        let Proof {
            user,
            version,
            budgets,
        } = proof;
        self.bounded(async {
            let mut tx = self.begin().await?;
            let Some(current) = lock_verified(&mut tx, user, version).await? else {
                tx.abandon().await?;
                return Ok(None);
            };
            let ending = make_room(&mut tx, presented, user, max_per_user, act).await?;
            issue(
                tx,
                ending,
                (current, version),
                draft,
                (Action::LoggedIn, budgets),
                act,
            )
            .await
            .map(Some)
        })
        .await
    }

    /// Issues a session to the user that a verified JWT of another system names, as
    /// [`Ledger::issue_session`] does, and writes down that it was exchanged. If it was
    /// before, or the session is not issued, nothing is changed.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn exchange(
        &self,
        jwt: &ForeignJwt,
        draft: &Draft,
        presented: Option<Opened>,
        max_per_user: Option<usize>,
        act: Act,
    ) -> Result<Result<Issue, NotExchanged>, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let Some(named) = lock_named(&mut tx, &jwt.named).await? else {
                return refuse(tx, NotExchanged::UnknownAccount).await;
            };
            let user = named.user.id;
            if named.user.status == Status::Locked {
                return refuse(tx, NotExchanged::Locked(user)).await;
            }
            if statements::exchanges::insert_jwt(tx.link(), jwt).await? == 0 {
                return refuse(tx, NotExchanged::Used(user)).await;
            }
            let ending = make_room(&mut tx, presented, user, max_per_user, act).await?;
            issue(
                tx,
                ending,
                (named.user, named.version),
                draft,
                (Action::JwtExchanged, &[]),
                act,
            )
            .await
            .map(Ok)
        })
        .await
    }

    /// Deletes up to `limit` exchanged JWTs that have expired: how many that were.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn delete_expired_jwts(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Unavailable> {
        self.write(async |link| statements::exchanges::delete_expired(link, now, limit).await)
            .await
    }

    /// Sets a new password, ends all the user's sessions, `by` which asked for
    /// it included, and issues a new one.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn change_password(
        &self,
        user: UserId,
        by: SessionId,
        verified: CredentialVersion,
        hash: &PasswordHash,
        draft: &Draft,
        act: Act,
    ) -> Result<Result<Issue, Refusal>, Unavailable> {
        self.bounded(async {
            let mut tx = self.begin().await?;
            let current = match lock_asking(&mut tx, user, by, verified, act.at).await? {
                Ok(current) => current.user,
                Err(refusal) => return refuse(tx, refusal).await,
            };
            statements::users::set_password(tx.link(), user, hash).await?;
            let mut ending = Ending::default();
            ending
                .all_but(&mut tx, user, Some(draft.id), act.at)
                .await?;
            let changed = (current, verified.next());
            issue(
                tx,
                ending,
                changed,
                draft,
                (Action::PasswordChanged, &[]),
                act,
            )
            .await
            .map(Ok)
        })
        .await
    }
}

/// Ends the session that this browser had before and, if there is a limit, the user's
/// oldest sessions over it.
async fn make_room(
    tx: &mut Transaction,
    presented: Option<Opened>,
    user: UserId,
    max_per_user: Option<usize>,
    act: Act,
) -> Result<Ending, sqlx::Error> {
    let mut ending = Ending::default();
    if let Some(opened) = presented {
        ending
            .opened(tx, opened, Action::SessionRevoked, act)
            .await?;
    }
    if let Some(max) = max_per_user {
        ending.over_limit(tx, user, max, act).await?;
    }
    Ok(ending)
}

/// Inserts the session, writes what was done, and commits.
async fn issue(
    mut tx: Transaction,
    ending: Ending,
    (user, credential): (User, CredentialVersion),
    draft: &Draft,
    (action, budgets): (Action, &[Budget]),
    act: Act,
) -> Result<Issue, sqlx::Error> {
    let (session, vouched) =
        statements::sessions::insert_session(tx.link(), user.id, draft).await?;
    let event = act.by(user.id).did(action, user.id, Some(session.id));
    statements::log::insert_event(tx.link(), &event).await?;
    attempts::settle(&mut tx, budgets, Outcome::Right, Some(user.id), act).await?;
    Ok(Issue {
        session,
        vouched,
        user,
        credential,
        committed: ending.commit(tx).await?,
    })
}
