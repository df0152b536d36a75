//! The use cases that create a session: registering, logging in, changing the
//! password. No other does.

use super::accounts::{lock_asking, lock_verified};
use super::connection::Transaction;
use super::ending::{Ending, Opened};
use super::users::refuse;
use super::{Committed, Ledger, NewUser, Refusal, attempts, statements};
use crate::domain::attempt::{Budget, Outcome};
use crate::domain::audit::{Act, Action};
use crate::domain::id::{SessionId, UserId};
use crate::domain::password::PasswordHash;
use crate::domain::revocation::Vouched;
use crate::domain::session::{Draft, Session};
use crate::domain::user::{CredentialVersion, User};
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
            let mut ending = Ending::default();
            if let Some(opened) = presented {
                ending
                    .opened(&mut tx, opened, Action::SessionRevoked, act)
                    .await?;
            }
            if let Some(max) = max_per_user {
                ending.over_limit(&mut tx, user, max, act).await?;
            }
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
