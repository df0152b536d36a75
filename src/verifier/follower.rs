//! Follows the feed of revocations, on a thread of its own: a stream that says something
//! every second, or is asked for again.

use std::convert::Infallible;
use std::io::{self, BufReader};
use std::mem;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::knowledge::{Broken, Position};
use super::sse::Events;
use super::{Credential, Shared};
use crate::clocks::uptime;
use crate::domain::instance::LONGEST_LEASE;
use crate::domain::revocation::Head;
use crate::domain::time::{Timestamp, Uptime};
use crate::entropy;
use crate::feed::{EntryView, Standing, Window};

/// Who says nothing for so long is asked again, and perhaps somebody else answers.
pub(super) const SILENCE: Duration = Duration::from_secs(3);

/// How long it counts at most that there was nothing else. A stream that says so no more
/// is given up.
const LEASE: Duration = LONGEST_LEASE;

/// How long it takes to ask again at most: at first, and when that was often in vain.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(4);

/// Entries that are kept: a few MB. If there were more within a JWT's lifetime, the oldest
/// JWTs are refused as outdated.
const CAPACITY: usize = 100_000;

/// The thread's.
pub(super) struct Follower {
    shared: Weak<Shared>,
    agent: Agent,
    place: String,
    credential: Credential,
    pause: Duration,
}

/// Why a stream has ended.
#[derive(Debug, thiserror::Error)]
enum Ending {
    #[error("{0}")]
    Request(#[from] ureq::Error),
    #[error("{0}")]
    Stream(#[from] io::Error),
    #[error("it was closed")]
    Closed,
    #[error("the answer is {0}")]
    Refused(StatusCode),
    #[error("the log was set back")]
    SetBack,
    #[error("it has said what cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("it does not go on from what is known")]
    Broken,
}

impl From<Broken> for Ending {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

/// When a stream's first word was asked for, and what time it then was over there. What
/// it says later was said as much later, at the earliest: however long it was on its way,
/// nobody's clock is held against another's. Nor was it said before it was heard, wherever
/// the clock over there jumps.
#[derive(Clone, Copy)]
struct Origin {
    asked_at: Uptime,
    at: Timestamp,
}

impl Origin {
    fn when(self, said_at: Timestamp, heard_at: Uptime) -> Uptime {
        heard_at.min(self.asked_at + said_at.since(self.at))
    }
}

impl Follower {
    pub(super) const fn new(
        shared: Weak<Shared>,
        agent: Agent,
        place: String,
        credential: Credential,
    ) -> Self {
        Self {
            shared,
            agent,
            place,
            credential,
            pause: FIRST_PAUSE,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let Err(ending) = self.listen();
            if self.shared.strong_count() == 0 {
                break;
            }
            if self.pause == FIRST_PAUSE {
                tracing::warn!(reason = %ending, "revocations are not heard of");
            }
            thread::sleep(self.next_pause());
        }
    }

    /// Until the stream ends.
    fn listen(&mut self) -> Result<Infallible, Ending> {
        let asked_at = uptime();
        let answer = self.ask()?;
        let mut events = Events::new(BufReader::new(answer.into_body().into_reader()));
        let mut origin = None;
        let mut current_until = asked_at + LEASE;
        loop {
            let event = events.next(|| uptime() > current_until)?;
            let event = event.ok_or(Ending::Closed)?;
            let shared = self.shared()?;
            match event.name.as_str() {
                Window::EVENT => {
                    let Window { after, mark, at } = serde_json::from_str(&event.data)?;
                    let after = Head {
                        number: after,
                        mark,
                    };
                    shared.learn(|known| known.begin(after, at, CAPACITY))?;
                    origin = Some(Origin { asked_at, at });
                }
                EntryView::EVENT => {
                    let entry: EntryView = serde_json::from_str(&event.data)?;
                    shared.learn(|known| known.take_in(entry.into()))?;
                }
                Standing::EVENT => {
                    let standing: Standing = serde_json::from_str(&event.data)?;
                    let origin: Origin = origin.ok_or(Ending::Broken)?;
                    let said_at = origin.when(standing.at, uptime());
                    current_until = said_at + Duration::from_millis(standing.lasts_ms).min(LEASE);
                    let head = standing.head.into();
                    shared.learn(|known| known.vouch(head, standing.at, current_until))?;
                    if mem::replace(&mut self.pause, FIRST_PAUSE) != FIRST_PAUSE {
                        tracing::info!("revocations are heard of again");
                    }
                }
                _ => {}
            }
        }
    }

    fn ask(&self) -> Result<Response<Body>, Ending> {
        let mut request = self
            .agent
            .get(&self.place)
            .header("accept", "text/event-stream")
            .header("authorization", &self.credential.0);
        let position = self.shared()?.knowledge().position();
        if let Position::After(Head { number, mark }) = position {
            request = request.header("last-event-id", format!("{number}-{mark}"));
        }
        let answer = request.call()?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::GONE => {
                self.shared()?.learn(|known| Ok(known.lose()))?;
                Err(Ending::SetBack)
            }
            status => Err(Ending::Refused(status)),
        }
    }

    fn shared(&self) -> Result<Arc<Shared>, Ending> {
        self.shared.upgrade().ok_or(Ending::Closed)
    }

    /// Twice as long each time, and not for all who were cut off at once the same.
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = LAST_PAUSE.min(pause * 2);
        let [random] = entropy::random();
        pause * u32::from(random) / u32::from(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heard_was_said_before_wherever_the_clock_over_there_jumps() {
        let uptime = |seconds| Uptime::from_start(Duration::from_secs(seconds));
        let at = |seconds: i64| Timestamp::from_millis(1_790_000_000_000 + 1000 * seconds);
        let origin = Origin {
            asked_at: uptime(100),
            at: at(0),
        };
        for (said_at, heard_at, counts_from) in [
            (0, 100, 100),
            (7, 108, 107),
            (7, 200, 107),
            (3600, 108, 108),
            (-3600, 108, 100),
        ] {
            let when = origin.when(at(said_at), uptime(heard_at));
            assert_eq!(when, uptime(counts_from), "{said_at}, {heard_at}");
        }
    }
}
