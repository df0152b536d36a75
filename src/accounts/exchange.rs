//! Logging in with a JWT of another system, the one that is left.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Accounts, Error};
use crate::domain::audit::{Action, Actor};
use crate::domain::client::Client;
use crate::domain::digest::TokenDigest;
use crate::domain::exchange::ForeignJwt;
use crate::sessions::Issued;
use crate::store::ledger::NotExchanged;
use crate::telemetry::metrics::{EXCHANGES, ExchangeOutcome};
use crate::telemetry::traces::STEPS;

pub struct Exchange {
    pub jwt: Zeroizing<String>,
    pub remember_me: bool,
    pub client: Client,
    /// The session this browser had before; it ends.
    pub presented: Option<TokenDigest>,
}

/// For who reads the audit log.
const fn told(why: NotExchanged) -> &'static str {
    match why {
        NotExchanged::UnknownAccount => "unknown_account",
        NotExchanged::Locked(_) => "locked",
        NotExchanged::Used(_) => "used",
    }
}

impl From<NotExchanged> for ExchangeOutcome {
    fn from(why: NotExchanged) -> Self {
        match why {
            NotExchanged::UnknownAccount => Self::UnknownAccount,
            NotExchanged::Locked(_) => Self::Locked,
            NotExchanged::Used(_) => Self::Used,
        }
    }
}

impl Accounts {
    /// Issues a session to whom a JWT names, once. Nobody is created, and nothing is
    /// counted: a signature is not guessed, and to verify one costs little.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], whatever is wrong with it, [`Error::NotFound`] if none are
    /// taken, or [`Error::Unavailable`].
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn exchange(self: &Arc<Self>, request: Exchange) -> Result<Issued, Error> {
        let issuer = self.foreign_issuer.as_ref().ok_or(Error::NotFound)?;
        let jwt = match issuer.verify(&request.jwt, self.sessions.clock().now()) {
            Ok(jwt) => jwt,
            Err(why) => {
                tracing::debug!(%why, "a JWT was not exchanged");
                EXCHANGES.count(ExchangeOutcome::Invalid);
                return Err(Error::InvalidToken);
            }
        };
        let accounts = Arc::clone(self);
        let work = async move { accounts.issue_for(&jwt, request).await };
        let done = self.sessions.uncut(work).await;
        if let Err(Error::Unavailable(_)) = &done {
            EXCHANGES.count(ExchangeOutcome::Unavailable);
        }
        done
    }

    async fn issue_for(&self, jwt: &ForeignJwt, request: Exchange) -> Result<Issued, Error> {
        let act = self.sessions.act(Actor::Stranger, request.client.source);
        let (token, draft) = self.sessions.draft(request.client, request.remember_me);
        let presented = self.sessions.presented(request.presented).await;
        let max_per_user = self.sessions.policy().max_per_user;
        let issue = self
            .ledger
            .exchange(jwt, &draft, presented, max_per_user, act)
            .await?;
        match issue {
            Ok(issue) => {
                EXCHANGES.count(ExchangeOutcome::Success);
                Ok(self.sessions.issued(token, issue).await)
            }
            Err(why) => {
                EXCHANGES.count(why.into());
                tracing::debug!(why = told(why), "a JWT was not exchanged");
                let event = act.did_to(Action::ExchangeFailed, why.user());
                self.write_down(event.with(told(why)));
                Err(Error::InvalidToken)
            }
        }
    }
}
