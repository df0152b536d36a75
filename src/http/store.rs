//! actix-session's storage over our sessions.

use std::collections::HashMap;
use std::sync::Arc;

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;
use anyhow::anyhow;

use crate::domain::audit::{Actor, Source};
use crate::domain::token::Token;
use crate::sessions::{Revoked, Sessions};

/// What the state says of a session, each as JSON: whose it is and its public id.
pub(super) const USER_ID: &str = "user_id";
pub(super) const SESSION_ID: &str = "session_id";
/// Where a use case leaves the token it has issued, for `save` to adopt.
pub(super) const ISSUED_TOKEN: &str = "issued_token";

/// Lets [`actix_session::SessionMiddleware`] carry Gatelodge sessions: `load`
/// is the check, `delete` is the revocation. Sessions come from logging in
/// alone: `save` and `update` adopt one that was just issued and never insert.
///
/// [`Services::mount`](super::Services::mount) has the middleware carry them on the routes that
/// issue and end them, by a cookie that is packed for it: the browser's is in none of the forms
/// that the middleware reads.
///
/// State of an app's own is refused. A session belongs to a user; what else
/// there is to keep is kept under the user's id.
#[derive(Clone)]
pub struct Store {
    sessions: Arc<Sessions>,
}

impl Store {
    #[must_use]
    pub const fn new(sessions: Arc<Sessions>) -> Self {
        Self { sessions }
    }

    fn token(&self, key: &SessionKey) -> Option<Token> {
        Token::verify(key.as_ref().as_bytes(), self.sessions.keys())
    }
}

impl SessionStore for Store {
    async fn load(&self, key: &SessionKey) -> Result<Option<HashMap<String, String>>, LoadError> {
        let Some(token) = self.token(key) else {
            return Ok(None);
        };
        let checked = self.sessions.check(&token.digest()).await;
        let record = checked.map_err(|error| LoadError::Other(error.into()))?;
        Ok(record.map(|record| {
            HashMap::from([
                (
                    USER_ID.to_owned(),
                    format!("\"{}\"", record.session.user_id),
                ),
                (SESSION_ID.to_owned(), format!("\"{}\"", record.session.id)),
            ])
        }))
    }

    async fn save(
        &self,
        state: HashMap<String, String>,
        _: &Duration,
    ) -> Result<SessionKey, SaveError> {
        adopt(state).map_err(SaveError::Other)
    }

    async fn update(
        &self,
        _: SessionKey,
        state: HashMap<String, String>,
        _: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        adopt(state).map_err(UpdateError::Other)
    }

    /// A check has touched it already.
    async fn update_ttl(&self, _: &SessionKey, _: &Duration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        if let Some(token) = self.token(key) {
            let act = self.sessions.act(Actor::Stranger, Source::default());
            // Idempotent: ended already is as good.
            let (Revoked::Done | Revoked::NotFound) =
                self.sessions.log_out(token.digest(), act).await?;
        }
        Ok(())
    }
}

fn adopt(mut state: HashMap<String, String>) -> Result<SessionKey, anyhow::Error> {
    let token = state
        .remove(ISSUED_TOKEN)
        .ok_or_else(|| anyhow!("a session is issued by logging in, not by storing state"))?;
    let token: String = serde_json::from_str(&token)?;
    Ok(token.try_into()?)
}
