//! What instances tell each other through Redis, at once: what they have appended
//! to the revocation log, and that they are alive. Nothing depends on its arrival
//! but speed: the poll of the ledger brings the same, later.

mod signed;

use std::sync::Arc;

use super::redis::{Redis, Subscription};
use crate::domain::instance::{Beat, Push};
use crate::domain::keys::KeyRing;
use crate::store::Unavailable;

/// In milliseconds.
const PROOF_EXPIRES: u64 = 60_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    Push(Push),
    Beat(Beat),
}

pub struct Bus {
    redis: Redis,
    channel: String,
    /// A key that is written for the sake of writing.
    proof: String,
    keys: Arc<KeyRing>,
}

/// One's place in the audience. What is told meanwhile arrives, in order, or the
/// next call fails; on a connection that leads nowhere, nothing arrives any more.
pub struct Listener {
    subscription: Subscription,
    keys: Arc<KeyRing>,
}

/// What instances talk on.
#[must_use]
pub fn channel(key_prefix: &str) -> String {
    format!("{key_prefix}:signals")
}

impl Bus {
    /// Signals are signed with the key ring, and go through a channel whose name
    /// begins with `key_prefix`. Connects when it is first used.
    #[must_use]
    pub fn new(redis: Redis, key_prefix: &str, keys: Arc<KeyRing>) -> Self {
        Self {
            redis,
            channel: channel(key_prefix),
            proof: format!("{key_prefix}:master"),
            keys,
        }
    }

    /// Tells everybody who listens, this instance included.
    ///
    /// # Errors
    /// [`Unavailable`] if Redis does not take it. Taken is not heard.
    pub async fn tell(&self, signal: &Signal) -> Result<(), Unavailable> {
        let message = signed::sign(signal, &self.keys).map_err(Unavailable::task)?;
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&self.channel).arg(message);
        // A replica takes what is published, and passes it on to nobody. It takes no
        // writes: so a server that was demoted is found out.
        let mut write = redis::cmd("SET");
        write.arg(&self.proof).arg("").arg("PX").arg(PROOF_EXPIRES);
        let _: Vec<redis::Value> = self.redis.query_each(&[write, publish]).await?;
        Ok(())
    }

    /// # Errors
    /// [`Unavailable`] if Redis does not answer.
    pub async fn listen(&self) -> Result<Listener, Unavailable> {
        Ok(Listener {
            subscription: self.redis.subscribe(&self.channel).await?,
            keys: Arc::clone(&self.keys),
        })
    }
}

impl Listener {
    /// What is told next. What no key of the ring has signed is passed over, and so
    /// is what only a later version understands.
    ///
    /// # Errors
    /// [`Unavailable`] if the connection has ended: something may have been missed.
    pub async fn next(&mut self) -> Result<Signal, Unavailable> {
        loop {
            let message = self.subscription.next().await?;
            if let Some(signal) = signed::open(&message, &self.keys) {
                return Ok(signal);
            }
        }
    }
}
