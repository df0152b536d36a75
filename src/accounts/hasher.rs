//! Password hashing off the threads that serve requests: on few threads, which give
//! way to those, with a short queue; beyond that an honest no. So a storm of log-ins
//! leaves session checks alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::{Semaphore, oneshot};

use crate::domain::password::{Cost, NewPassword, Password, PasswordHash};
use crate::entropy;

/// How much work may wait.
const QUEUED_WORK: Duration = Duration::from_secs(2);
/// How long somebody waits; afterwards, the work is left undone.
const PATIENCE: Duration = Duration::from_secs(4);
/// The cost at which the time of one hash is measured; each more doubles it.
const MEASURED_COST: u32 = 6;
/// A thread of this niceness gets a tenth of a core that others want whole.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// More hashing is asked for than can be done soon.
#[derive(Debug, thiserror::Error)]
#[error("too many passwords are being verified")]
pub struct Busy;

pub struct Hasher {
    cost: Cost,
    /// One permit for each hash at work or in the queue.
    places: Arc<Semaphore>,
    jobs: Sender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Hasher {
    /// `queue`: how many may wait for their turn; left out, two seconds' work.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn start(cost: Cost, concurrency: usize, queue: Option<usize>) -> anyhow::Result<Self> {
        let queue = queue.unwrap_or_else(|| queue_for(cost, concurrency));
        let (jobs, next_jobs) = channel();
        let next_jobs = Arc::new(Mutex::new(next_jobs));
        for _ in 0..concurrency {
            let next_jobs = Arc::clone(&next_jobs);
            std::thread::Builder::new()
                .name("hasher".to_owned())
                .spawn(move || work(&next_jobs))
                .context("no thread to hash passwords on")?;
        }
        Ok(Self {
            cost,
            places: Arc::new(Semaphore::new(concurrency + queue)),
            jobs,
        })
    }

    /// Hashes a password to be stored.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full, or does not move.
    pub async fn hash(&self, password: NewPassword) -> Result<PasswordHash, Busy> {
        let cost = self.cost;
        self.run(move || PasswordHash::of(password.as_password(), cost, entropy::random()))
            .await
    }

    /// Whether the password opens the hash. Without a hash it never does, and
    /// the work is the same.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full, or does not move.
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
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            // Nobody waits for what comes too late.
            if !answer.is_closed() {
                let _ = answer.send(work());
            }
            drop(place);
        });
        self.jobs.send(job).map_err(|_| Busy)?;
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.map_err(|_| Busy)?.map_err(|_| Busy)
    }
}

/// Does one job after another, until the hasher is dropped.
fn work(next_jobs: &Mutex<Receiver<Job>>) {
    give_way();
    let next_job = || {
        let next_jobs = next_jobs.lock().unwrap_or_else(PoisonError::into_inner);
        next_jobs.recv()
    };
    while let Ok(job) = next_job() {
        // Whoever waits for it finds its answer missing.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// Lets the threads that serve requests go first. Elsewhere than on Linux, the system
/// knows a priority of whole processes only.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS)
    {
        tracing::warn!(%error, "password hashing has the priority of everything else");
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
        let hasher = Hasher::start(Cost::new(4).unwrap(), 1, Some(1)).unwrap();
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

    #[tokio::test]
    async fn who_is_gone_costs_no_work() {
        let hasher = Hasher::start(Cost::new(4).unwrap(), 1, Some(2)).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = std::sync::mpsc::channel::<()>();
        let first = hasher.run(move || held.recv().is_ok());
        let gone = async {
            let abandoned = hasher.run(move || begun.send(()).is_ok());
            assert!(
                tokio::time::timeout(Duration::ZERO, abandoned)
                    .await
                    .is_err()
            );
            release.send(()).unwrap();
        };
        let (first, ()) = tokio::join!(biased; first, gone);
        assert!(first.unwrap());
        assert!(hasher.run(|| true).await.unwrap());
        assert!(has_begun.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_job_that_panics_ends_no_thread() {
        let hasher = Hasher::start(Cost::new(4).unwrap(), 1, Some(1)).unwrap();
        assert!(hasher.run(|| panic!("on purpose")).await.is_err());
        assert!(hasher.run(|| true).await.unwrap());
    }
}
