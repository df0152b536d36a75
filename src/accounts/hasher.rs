//! Password hashing off the threads that serve requests: on few threads, which give
//! way to those, with a short queue; beyond that an honest no. So a storm of log-ins
//! leaves session checks alone.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{Semaphore, oneshot};
use tracing::Instrument as _;

use crate::domain::password::{Cost, NewPassword, Password, PasswordHash, Scheme, spin};
use crate::domain::user::Credentials;
use crate::entropy;
use crate::telemetry::traces::STEPS;

/// How much work may wait.
const QUEUED_WORK: Duration = Duration::from_secs(2);
/// How long somebody waits; afterwards, the work is left undone.
const PATIENCE: Duration = Duration::from_secs(4);
/// The cost at which the time of one hash is measured; each more doubles it.
const MEASURED_COST: u32 = 6;
/// That part of a hash's rounds shows how long a round takes.
const SAMPLED: u64 = 16;
/// A thread of this niceness gets a tenth of a core that others want whole.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// More hashing is asked for than can be done soon.
#[derive(Debug, thiserror::Error)]
#[error("too many passwords are being verified")]
pub struct Busy;

/// What an attempt has shown.
#[must_use]
pub enum Verified {
    Wrong,
    Right,
    /// Right; and the stored hash is not as it would be made now.
    Outdated(Password),
}

impl Verified {
    pub const fn is_right(&self) -> bool {
        match self {
            Self::Wrong => false,
            Self::Right | Self::Outdated(_) => true,
        }
    }
}

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
        self.hash_again(password.into_password()).await
    }

    /// Hashes a password whose hash is outdated.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full, or does not move.
    pub async fn hash_again(&self, password: Password) -> Result<PasswordHash, Busy> {
        let cost = self.cost;
        self.run(move || PasswordHash::of(&password, cost, entropy::random()))
            .await
    }

    /// Whether the password is that of these credentials. It takes the work of one hash of
    /// the current cost, whatever is stored, and if there is nothing (ASVS 6.3.8): what a
    /// stored hash takes less is made up. Only one that takes more shows.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full, or does not move.
    pub async fn verify(
        &self,
        password: Password,
        credentials: Option<&Credentials>,
    ) -> Result<Verified, Busy> {
        let cost = self.cost;
        let scheme = credentials.and_then(scheme_of);
        let scheme = scheme.unwrap_or_else(|| Scheme::of_nobody(cost));
        self.run(move || match verify_at_cost(&scheme, &password, cost) {
            false => Verified::Wrong,
            true if scheme.is_current(cost) => Verified::Right,
            true => Verified::Outdated(password),
        })
        .await
    }

    /// Whether there is a place left.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full.
    pub fn ensure_room(&self) -> Result<(), Busy> {
        match self.places.available_permits() {
            0 => Err(Busy),
            _ => Ok(()),
        }
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
        let step = tracing::info_span!(target: STEPS, "hash");
        let answered = tokio::time::timeout(PATIENCE, answered).instrument(step);
        let answered = answered.await;
        answered.map_err(|_| Busy)?.map_err(|_| Busy)
    }
}

/// How the stored hash is to be verified. One that is broken opens to nobody, and somebody
/// must hear of it.
fn scheme_of(credentials: &Credentials) -> Option<Scheme> {
    let scheme = credentials.password_hash.as_ref()?.scheme();
    scheme
        .inspect_err(|error| {
            let user = credentials.user.id;
            tracing::error!(%user, "the stored password hash {error}: its user cannot log in");
        })
        .ok()
}

/// Verifies with the work of one hash of that cost, if the scheme does not take more.
fn verify_at_cost(scheme: &Scheme, password: &Password, cost: Cost) -> bool {
    let started = time_of_this_thread();
    let is_right = scheme.is_of(password);
    let taken = time_of_this_thread().saturating_sub(started);
    spin(match scheme.rounds() {
        Some(rounds) => cost.rounds().saturating_sub(rounds),
        None => left_after(taken, cost),
    });
    is_right
}

/// The rounds that are left of a hash of that cost for who has already worked so long. The
/// first of them are done, to see how long one takes here and now.
fn left_after(taken: Duration, cost: Cost) -> u64 {
    let sample = cost.rounds() / SAMPLED;
    let started = time_of_this_thread();
    spin(sample);
    let time = time_of_this_thread()
        .saturating_sub(started)
        .as_nanos()
        .max(1);
    let equal = (taken.as_nanos() * u128::from(sample) + time / 2) / time;
    let left = u128::from(cost.rounds() - sample).saturating_sub(equal);
    u64::try_from(left).unwrap_or(0)
}

/// How long this thread has been at work; waiting does not count.
fn time_of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().unwrap_or_default()
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
    if let Ok(password) = Password::parse("measured") {
        black_box(Scheme::of_nobody(cost).is_of(&password));
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
