//! Password hashing off the threads that serve requests: few at once, a short
//! queue, and beyond that an honest no, so that a storm of log-ins leaves
//! session checks alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::password::{Cost, NewPassword, Password, PasswordHash};
use crate::entropy;

/// How much work may wait.
const QUEUED_WORK: Duration = Duration::from_secs(2);
/// The cost at which the time of one hash is measured; each more doubles it.
const MEASURED_COST: u32 = 6;

/// More hashing is asked for than can be done soon.
#[derive(Debug, thiserror::Error)]
#[error("too many passwords are being verified")]
pub struct Busy;

pub struct Hasher {
    cost: Cost,
    /// One permit for each hash at work or in the queue.
    places: Arc<Semaphore>,
    /// One permit for each hash at work.
    running: Arc<Semaphore>,
}

/// Held until the work is done, whether or not somebody still waits for it.
struct Turn {
    _place: OwnedSemaphorePermit,
    _running: OwnedSemaphorePermit,
}

impl Hasher {
    /// `queue`: how many may wait for their turn; left out, two seconds' work.
    #[must_use]
    pub fn new(cost: Cost, concurrency: usize, queue: Option<usize>) -> Self {
        let queue = queue.unwrap_or_else(|| queue_for(cost, concurrency));
        Self {
            cost,
            places: Arc::new(Semaphore::new(concurrency + queue)),
            running: Arc::new(Semaphore::new(concurrency)),
        }
    }

    /// Hashes a password to be stored.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full.
    pub async fn hash(&self, password: NewPassword) -> Result<PasswordHash, Busy> {
        let cost = self.cost;
        self.run(move || PasswordHash::of(password.as_password(), cost, entropy::random()))
            .await
    }

    /// Whether the password opens the hash. Without a hash it never does, and
    /// the work is the same.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<bool, Busy> {
        let hash = hash.unwrap_or_else(|| PasswordHash::of_nobody(self.cost));
        self.run(move || {
            hash.verify(&password).unwrap_or_else(|error| {
                tracing::error!(%error, "a stored password hash is broken");
                false
            })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Busy)?;
        let running = Arc::clone(&self.running);
        let turn = Turn {
            _place: place,
            _running: running.acquire_owned().await.map_err(|_| Busy)?,
        };
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        });
        done.await.map_err(|_| Busy)
    }
}

/// How long one hash of that cost takes here and now.
#[must_use]
pub fn time_of_one_hash(cost: Cost) -> Duration {
    let started = Instant::now();
    let nobody = PasswordHash::of_nobody(cost);
    if let Ok(password) = Password::parse("measured") {
        let _ = nobody.verify(&password);
    }
    started.elapsed()
}

fn queue_for(cost: Cost, concurrency: usize) -> usize {
    let Some(measured) = Cost::new(MEASURED_COST) else {
        return concurrency;
    };
    let measured_time = time_of_one_hash(measured).as_secs_f64().max(1e-6);
    let time = measured_time * 2f64.powi(cost.get().cast_signed() - MEASURED_COST.cast_signed());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a positive estimate, bounded"
    )]
    let queue = (QUEUED_WORK.as_secs_f64() / time * concurrency as f64).min(10_000.0) as usize;
    queue.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beyond_the_queue_is_busy() {
        let hasher = Hasher::new(Cost::new(4).unwrap(), 1, Some(1));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let first = hasher.run(move || held.recv().is_ok());
        let second = hasher.run(|| true);
        let third = hasher.run(|| true);
        let let_go = async {
            assert!(third.await.is_err());
            release.send(()).unwrap();
        };
        let (first, second, ()) = tokio::join!(biased; first, second, let_go);
        assert!(first.unwrap() && second.unwrap());
    }
}
