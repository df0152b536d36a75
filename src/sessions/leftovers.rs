//! Dead copies that the hot store did not drop when it was told to. They do no
//! harm: the view speaks against them. They are dropped once it answers.

use std::sync::{Mutex, PoisonError};

use super::Sessions;
use crate::domain::digest::TokenDigest;
use crate::telemetry::metrics::{FALLBACKS, Fallback};

/// More than these are left to expire by themselves.
const REMEMBERED: usize = 100_000;
const AT_ONCE: usize = 1000;

#[derive(Default)]
pub(super) struct Leftovers(Mutex<Vec<TokenDigest>>);

impl Leftovers {
    fn add(&self, digests: &[TokenDigest]) {
        let mut leftovers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = REMEMBERED.saturating_sub(leftovers.len());
        leftovers.extend(digests.iter().take(room));
    }

    fn take(&self) -> Vec<TokenDigest> {
        let mut leftovers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let some = leftovers.len().min(AT_ONCE);
        leftovers.drain(..some).collect()
    }
}

impl Sessions {
    pub(super) async fn forget(&self, ended: Vec<TokenDigest>) {
        if let Some(hot) = &self.hot
            && let Err(error) = hot.forget(&ended).await
        {
            FALLBACKS.count(Fallback::CopiesDroppedLater);
            tracing::debug!(%error, "dead copies are dropped later");
            self.leftovers.add(&ended);
        }
    }

    /// Tries again.
    pub(super) async fn forget_leftovers(&self) {
        let Some(hot) = &self.hot else {
            return;
        };
        loop {
            let some = self.leftovers.take();
            if some.is_empty() {
                break;
            }
            if hot.forget(&some).await.is_err() {
                self.leftovers.add(&some);
                break;
            }
        }
    }
}
