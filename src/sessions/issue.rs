//! Issuing: the only verb that creates a session.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::Sessions;
use crate::domain::client::Client;
use crate::domain::id::SessionId;
use crate::domain::session::{Draft, Record};
use crate::domain::token::Token;
use crate::domain::user::CredentialVersion;
use crate::entropy;
use crate::store::ledger::Issue;
use crate::telemetry::traces::STEPS;

/// A session just issued. The token is on its way to the cookie, and nowhere else.
pub struct Issued {
    pub token: Token,
    pub record: Arc<Record>,
    /// By which the user can log in again.
    pub credential: CredentialVersion,
}

impl Sessions {
    /// A token and the session it will open, once the ledger has inserted it.
    #[must_use]
    pub fn draft(&self, client: Client, remember_me: bool) -> (Token, Draft) {
        let token = Token::mint(&Zeroizing::new(entropy::random()), &self.keys);
        let issued_at = self.clock.now();
        let draft = Draft {
            id: SessionId::new(issued_at, entropy::random()),
            digest: token.digest(),
            issued_at,
            lifetime: if remember_me {
                self.policy.remembered_lifetime
            } else {
                self.policy.lifetime
            },
            remember_me,
            client,
        };
        (token, draft)
    }

    /// What follows the commit of a session's insertion: publishes what it has
    /// ended, and keeps a first copy of it.
    #[tracing::instrument(target = STEPS, skip_all)]
    pub async fn issued(&self, token: Token, issue: Issue) -> Issued {
        let Issue {
            session,
            vouched,
            user,
            credential,
            committed,
        } = issue;
        self.publish(committed).await;
        let record = self.local.copy_of(Record::new(session, user, vouched));
        self.keep(&token.digest(), &record).await;
        Issued {
            token,
            record,
            credential,
        }
    }
}
