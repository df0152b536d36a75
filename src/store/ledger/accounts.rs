//! Use cases that concern a user: registering, issuing a session to one,
//! changing and deleting one.

use super::connection::Transaction;
use super::rows::CredentialsRow;
use super::{Committed, Ledger, bounded, statements};
use crate::domain::audit::{Act, Action, Event};
use crate::domain::email::Email;
use crate::domain::id::{SessionId, UserId};
use crate::domain::password::PasswordHash;
use crate::domain::revocation::Revocation;
use crate::domain::session::{Draft, Session};
use crate::domain::time::Timestamp;
use crate::domain::token::TokenDigest;
use crate::domain::user::{CredentialVersion, Credentials, Status, User, UserName};
use crate::store::Unavailable;

pub struct NewUser {
    pub user: User,
    pub password_hash: PasswordHash,
}

/// A session that the ledger has inserted.
#[derive(Debug)]
pub struct Issue {
    pub session: Session,
    /// As the transaction saw them.
    pub user: User,
    pub committed: Committed,
}

#[derive(Debug)]
#[must_use]
pub enum ChangedEmail {
    Changed(User, Committed),
    EmailTaken,
    Outdated,
}

impl Ledger {
    /// What a log-in with this address is verified against.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn find_credentials(
        &self,
        email: &Email,
    ) -> Result<Option<Credentials>, Unavailable> {
        let row = bounded(async {
            let mut connection = self.reader().await?;
            statements::credentials_by_email(connection.link(), email).await
        });
        Ok(row.await?.map(Into::into))
    }

    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn credentials_of(&self, user: UserId) -> Result<Option<Credentials>, Unavailable> {
        let row = bounded(async {
            let mut connection = self.reader().await?;
            statements::credentials_by_id(connection.link(), user).await
        });
        Ok(row.await?.map(Into::into))
    }

    /// Creates a user together with a first session, and ends the session that
    /// this browser had before. `None` if the e-mail address is taken.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn register(
        &self,
        new: &NewUser,
        draft: &Draft,
        presented: Option<TokenDigest>,
        act: Act,
    ) -> Result<Option<Issue>, Unavailable> {
        bounded(async {
            let user = new.user.id;
            let mut tx = self.begin().await?;
            if statements::insert_user(tx.link(), &new.user, &new.password_hash).await? == 0 {
                tx.abandon().await?;
                return Ok(None);
            }
            let mut ending = Ending::default();
            if let Some(digest) = presented {
                ending
                    .by_digest(&mut tx, digest, Action::SessionRevoked, act)
                    .await?;
            }
            let session = statements::insert_session(tx.link(), user, draft).await?;
            let event = Event {
                act: Act {
                    actor: Some(user),
                    ..act
                },
                action: Action::Registered,
                subject: user,
                session: Some(session.id),
            };
            statements::insert_event(tx.link(), &event).await?;
            Ok(Some(Issue {
                session,
                user: new.user.clone(),
                committed: ending.commit(tx).await?,
            }))
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
        user: UserId,
        verified: CredentialVersion,
        draft: &Draft,
        presented: Option<TokenDigest>,
        max_per_user: Option<usize>,
        act: Act,
    ) -> Result<Option<Issue>, Unavailable> {
        bounded(async {
            let mut tx = self.begin().await?;
            let locked = statements::lock_user(tx.link(), user).await?;
            let Some(current) = current(locked, verified) else {
                tx.abandon().await?;
                return Ok(None);
            };
            let mut ending = Ending::default();
            if let Some(digest) = presented {
                ending
                    .by_digest(&mut tx, digest, Action::SessionRevoked, act)
                    .await?;
            }
            if let Some(max) = max_per_user {
                ending.over_limit(&mut tx, user, max, act).await?;
            }
            let session = statements::insert_session(tx.link(), user, draft).await?;
            let event = Event {
                act: Act {
                    actor: Some(user),
                    ..act
                },
                action: Action::LoggedIn,
                subject: user,
                session: Some(session.id),
            };
            statements::insert_event(tx.link(), &event).await?;
            Ok(Some(Issue {
                session,
                user: current.user,
                committed: ending.commit(tx).await?,
            }))
        })
        .await
    }

    /// Sets a new password, ends all the user's sessions, `by` which asked for
    /// it included, and issues a new one. `None` if that session has ended, or
    /// the credential that was verified is no longer the user's.
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
    ) -> Result<Option<Issue>, Unavailable> {
        bounded(async {
            let mut tx = self.begin().await?;
            let locked = statements::lock_user(tx.link(), user).await?;
            let current = current(locked, verified);
            let is_alive = is_alive(&mut tx, user, by, act.at).await?;
            let Some(current) = current.filter(|_| is_alive) else {
                tx.abandon().await?;
                return Ok(None);
            };
            statements::set_password(tx.link(), user, hash).await?;
            let mut ending = Ending::default();
            ending.all_but(&mut tx, user, None).await?;
            let session = statements::insert_session(tx.link(), user, draft).await?;
            ending.spare(user, session.id);
            let event = Event {
                act,
                action: Action::PasswordChanged,
                subject: user,
                session: Some(session.id),
            };
            statements::insert_event(tx.link(), &event).await?;
            Ok(Some(Issue {
                session,
                user: current.user,
                committed: ending.commit(tx).await?,
            }))
        })
        .await
    }

    /// Sets a new e-mail address and ends the user's sessions but `by`, which
    /// asked for it.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn change_email(
        &self,
        user: UserId,
        by: SessionId,
        verified: CredentialVersion,
        email: &Email,
        act: Act,
    ) -> Result<ChangedEmail, Unavailable> {
        bounded(async {
            let mut tx = self.begin().await?;
            let locked = statements::lock_user(tx.link(), user).await?;
            let before = current(locked, verified);
            let is_alive = is_alive(&mut tx, user, by, act.at).await?;
            let Some(before) = before.filter(|_| is_alive) else {
                tx.abandon().await?;
                return Ok(ChangedEmail::Outdated);
            };
            match statements::set_email(tx.link(), user, email).await {
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                    tx.abandon().await?;
                    return Ok(ChangedEmail::EmailTaken);
                }
                changed => changed?,
            };
            let mut ending = Ending::default();
            ending.all_but(&mut tx, user, Some(by)).await?;
            ending.log.push(Revocation::UserChanged(user));
            let event = Event {
                act,
                action: Action::EmailChanged,
                subject: user,
                session: Some(by),
            };
            statements::insert_event(tx.link(), &event).await?;
            let after = User {
                email: email.clone(),
                ..before.user
            };
            Ok(ChangedEmail::Changed(after, ending.commit(tx).await?))
        })
        .await
    }

    /// `None` if there is no such user.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn change_name(
        &self,
        user: UserId,
        name: &UserName,
        act: Act,
    ) -> Result<Option<(User, Committed)>, Unavailable> {
        bounded(async {
            let mut tx = self.begin().await?;
            let Some(before) = statements::lock_user(tx.link(), user).await? else {
                tx.abandon().await?;
                return Ok(None);
            };
            statements::set_name(tx.link(), user, name).await?;
            let event = Event {
                act,
                action: Action::NameChanged,
                subject: user,
                session: None,
            };
            statements::insert_event(tx.link(), &event).await?;
            let ending = Ending {
                log: vec![Revocation::UserChanged(user)],
                ended: Vec::new(),
            };
            let before = Credentials::from(before);
            let after = User {
                name: name.clone(),
                ..before.user
            };
            Ok(Some((after, ending.commit(tx).await?)))
        })
        .await
    }

    /// Deletes a user and all that is theirs but the audit log. `None` if the
    /// credential that was verified is no longer the user's.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger does not answer.
    pub async fn delete_account(
        &self,
        user: UserId,
        verified: CredentialVersion,
        act: Act,
    ) -> Result<Option<Committed>, Unavailable> {
        bounded(async {
            let mut tx = self.begin().await?;
            if !is_current(statements::lock_user(tx.link(), user).await?, verified) {
                tx.abandon().await?;
                return Ok(None);
            }
            let mut ending = Ending::default();
            ending.all_but(&mut tx, user, None).await?;
            statements::delete_user(tx.link(), user).await?;
            let event = Event {
                act,
                action: Action::AccountDeleted,
                subject: user,
                session: None,
            };
            statements::insert_event(tx.link(), &event).await?;
            Ok(Some(ending.commit(tx).await?))
        })
        .await
    }
}

fn current(row: Option<CredentialsRow>, verified: CredentialVersion) -> Option<Credentials> {
    row.map(Credentials::from).filter(|credentials| {
        credentials.version == verified && credentials.user.status == Status::Active
    })
}

/// Whether the session is still alive; asked under the user's lock.
pub(super) async fn is_alive(
    tx: &mut Transaction,
    user: UserId,
    session: SessionId,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let sessions = statements::sessions_of(tx.link(), user).await?;
    Ok(sessions
        .into_iter()
        .map(Session::from)
        .any(|alive| alive.id == session && !alive.is_expired(now)))
}

fn is_current(row: Option<CredentialsRow>, verified: CredentialVersion) -> bool {
    current(row, verified).is_some()
}

/// What a transaction ends, gathered until it commits.
#[derive(Default)]
pub(super) struct Ending {
    log: Vec<Revocation>,
    ended: Vec<TokenDigest>,
}

impl Ending {
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

    /// Spares a session born in this transaction from the cut-off in it.
    fn spare(&mut self, user: UserId, session: SessionId) {
        for revocation in &mut self.log {
            if *revocation == (Revocation::UserEnded { user, spared: None }) {
                *revocation = Revocation::UserEnded {
                    user,
                    spared: Some(session),
                };
            }
        }
    }

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
        let event = Event {
            act: Act {
                actor: Some(user),
                ..act
            },
            action,
            subject: user,
            session: Some(session),
        };
        statements::insert_event(tx.link(), &event).await?;
        Ok(true)
    }

    /// Makes room for one more session within the user's limit: the oldest end.
    async fn over_limit(
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
