//! Keeps the keys that are published, on a thread of its own.

use std::mem;
use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use ureq::Agent;
use ureq::http::header::CACHE_CONTROL;
use ureq::http::{HeaderMap, StatusCode};

use super::Shared;
use crate::domain::jwt::{Algorithm, VerifyingKeys};

/// Before keys are asked for again, however many tokens name some that are not known.
const PAUSE: Duration = Duration::from_secs(10);
/// The same, while there are none.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long keys are kept, at most: a new one has been published for so long when it
/// signs first.
const MAX_AGE: Duration = Duration::from_mins(5);

/// How long they may take to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// The keys' text, in bytes.
const MAX_LENGTH: u64 = 256 * 1024;

/// The thread's.
pub(super) struct Keeper {
    pub(super) shared: Weak<Shared>,
    pub(super) agent: Agent,
    pub(super) place: String,
    pub(super) allowed: Vec<Algorithm>,
    /// Hears that a token has named a key that is not known.
    pub(super) asked: Receiver<()>,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Request(#[from] ureq::Error),
    #[error("the answer is {0}")]
    Refused(StatusCode),
    #[error("it is no set of keys: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Keeper {
    pub(super) fn run(self) {
        let mut is_fetched = true;
        loop {
            let fetched = self.fetch();
            let was_fetched = mem::replace(&mut is_fetched, fetched.is_ok());
            let Some(shared) = self.shared.upgrade() else {
                break;
            };
            let (pause, age) = match fetched {
                Ok((keys, max_age)) => {
                    shared.keep(keys);
                    (PAUSE, max_age.clamp(PAUSE, MAX_AGE))
                }
                Err(failure) => {
                    if was_fetched {
                        tracing::warn!(reason = %failure, "the keys of JWTs cannot be fetched");
                    }
                    let pause = shared.keys.load().as_ref().map_or(FIRST_PAUSE, |_| PAUSE);
                    (pause, pause)
                }
            };
            drop(shared);
            thread::sleep(pause);
            if self.asked.recv_timeout(age.saturating_sub(pause))
                == Err(RecvTimeoutError::Disconnected)
            {
                break;
            }
        }
    }

    fn fetch(&self) -> Result<(VerifyingKeys, Duration), Failure> {
        let request = self.agent.get(&self.place).config();
        let request = request.timeout_global(Some(PATIENCE)).build();
        let mut answer = request.call()?;
        if answer.status() != StatusCode::OK {
            return Err(Failure::Refused(answer.status()));
        }
        let max_age = max_age(answer.headers()).unwrap_or(MAX_AGE);
        let body = answer.body_mut().with_config().limit(MAX_LENGTH);
        let keys = VerifyingKeys::parse(&body.read_to_vec()?, &self.allowed)?;
        Ok((keys, max_age))
    }
}

/// Of an answer that may be kept (RFC 9111, 5.2.2.1).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get(CACHE_CONTROL)?.to_str().ok()?;
    let seconds = directives
        .split(',')
        .find_map(|directive| directive.trim().strip_prefix("max-age="))?;
    Some(Duration::from_secs(seconds.parse().ok()?))
}
