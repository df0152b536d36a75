//! Follows the feed of revocations, on a thread of its own: a stream that says something
//! every second, or is asked for again.

use std::convert::Infallible;
use std::io::{self, BufReader};
use std::mem;
use std::sync::Weak;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::knowledge::LEASE;
use super::sse::Events;
use super::{Credential, Shared};
use crate::clocks::uptime;
use crate::domain::id::{SessionId, UserId};
use crate::domain::revocation::{Entry, LogNumber, Mark, Revocation};
use crate::domain::time::{Timestamp, Uptime};
use crate::domain::view::Gap;
use crate::entropy;

/// Who says nothing for so long is asked again, and perhaps somebody else answers.
pub(super) const SILENCE: Duration = Duration::from_secs(3);

/// How long it takes to ask again at most: at first, and when that was often in vain.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(4);

/// The thread's.
pub(super) struct Follower {
    shared: Weak<Shared>,
    agent: Agent,
    place: String,
    credential: Credential,
    position: Position,
    pause: Duration,
}

/// From where the log is read on.
#[derive(Clone, Copy, PartialEq)]
enum Position {
    /// From where the window begins.
    First,
    /// After that number, whose entry has that mark, if it is known.
    After(LogNumber, Option<Mark>),
    /// From where the window begins: what was known is no part of the log any more.
    Lost,
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
    #[error("nothing vouches for it")]
    Silent,
    #[error("the answer is {0}")]
    Refused(StatusCode),
    #[error("the log was set back")]
    SetBack,
    #[error("it has said what cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("an entry is missing")]
    Incomplete,
}

impl From<Gap> for Ending {
    fn from(_: Gap) -> Self {
        Self::Incomplete
    }
}

#[derive(Deserialize)]
struct Window {
    after: LogNumber,
    #[serde(deserialize_with = "rfc_3339")]
    at: Timestamp,
}

#[derive(Deserialize)]
struct Head {
    number: LogNumber,
    #[serde(deserialize_with = "hexadecimal")]
    mark: Mark,
    #[serde(deserialize_with = "rfc_3339")]
    at: Timestamp,
}

#[derive(Deserialize)]
struct Written {
    number: LogNumber,
    #[serde(deserialize_with = "hexadecimal")]
    mark: Mark,
    #[serde(flatten)]
    what: Kind,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    SessionEnded {
        session: SessionId,
    },
    UserEnded {
        user: UserId,
        spared: Option<SessionId>,
    },
    UserChanged {
        user: UserId,
    },
    EveryoneEnded,
    /// Whatever a later version says.
    #[serde(other)]
    Unknown,
}

fn rfc_3339<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    Timestamp::parse(&text).map_err(de::Error::custom)
}

fn hexadecimal<'de, D: Deserializer<'de>>(from: D) -> Result<Mark, D::Error> {
    let text = String::deserialize(from)?;
    let bits = u128::from_str_radix(&text, 16).map_err(de::Error::custom)?;
    Ok(Mark(bits.to_be_bytes()))
}

impl From<Written> for Entry {
    fn from(written: Written) -> Self {
        Self {
            number: written.number,
            mark: written.mark,
            revocation: match written.what {
                Kind::SessionEnded { session } => Revocation::SessionEnded(session),
                Kind::UserEnded { user, spared } => Revocation::UserEnded { user, spared },
                Kind::UserChanged { user } => Revocation::UserChanged(user),
                Kind::EveryoneEnded => Revocation::EveryoneEnded,
                Kind::Unknown => Revocation::Unknown,
            },
        }
    }
}

/// When a stream's first word was asked for, and what time it then was over there. What
/// it says later was said as much later, at the earliest: however long it was on its way,
/// nobody's clock is held against another's.
#[derive(Clone, Copy)]
struct Origin {
    asked_at: Uptime,
    at: Timestamp,
}

impl Origin {
    fn when(self, said_at: Timestamp) -> Uptime {
        self.asked_at + said_at.since(self.at)
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
            position: Position::First,
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
        let mut vouched_at = asked_at;
        loop {
            let event = events.next()?.ok_or(Ending::Closed)?;
            let shared = self.shared.upgrade().ok_or(Ending::Closed)?;
            match event.name.as_str() {
                "window" => {
                    let window: Window = serde_json::from_str(&event.data)?;
                    self.begin(&shared, &window)?;
                    let at = window.at;
                    origin = Some(Origin { asked_at, at });
                }
                "entry" => {
                    let entry: Entry = serde_json::from_str::<Written>(&event.data)?.into();
                    shared.learn(|known| known.take_in(entry))?;
                    self.position = Position::After(entry.number, Some(entry.mark));
                }
                "head" => {
                    let head: Head = serde_json::from_str(&event.data)?;
                    vouched_at = origin.ok_or(Ending::Incomplete)?.when(head.at);
                    self.reach(&shared, &head, vouched_at)?;
                }
                _ => {}
            }
            if uptime().since(vouched_at) > LEASE {
                return Err(Ending::Silent);
            }
        }
    }

    fn ask(&mut self) -> Result<Response<Body>, Ending> {
        let mut request = self
            .agent
            .get(&self.place)
            .header("accept", "text/event-stream")
            .header("authorization", &self.credential.0);
        if let Position::After(number, mark) = self.position {
            let mark = mark.map_or_else(String::new, |Mark(mark)| {
                format!("-{:032x}", u128::from_be_bytes(mark))
            });
            request = request.header("last-event-id", format!("{number}{mark}"));
        }
        let answer = request.call()?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::GONE => Err(self.lose()),
            status => Err(Ending::Refused(status)),
        }
    }

    fn begin(&mut self, shared: &Shared, window: &Window) -> Result<(), Ending> {
        match self.position {
            Position::After(number, _) if number == window.after => return Ok(()),
            Position::After(..) => return Err(self.lose()),
            Position::First => shared.learn(|known| known.begin(window.after)),
            Position::Lost => shared.learn(|known| known.begin_anew(window.after, window.at)),
        }
        self.position = Position::After(window.after, None);
        Ok(())
    }

    /// There is nothing after the entry that is known to be the last.
    fn reach(&mut self, shared: &Shared, head: &Head, vouched_at: Uptime) -> Result<(), Ending> {
        match self.position {
            Position::After(number, mark)
                if number == head.number && mark.is_none_or(|mark| mark == head.mark) => {}
            _ => return Err(Ending::Incomplete),
        }
        self.position = Position::After(head.number, Some(head.mark));
        shared.vouch(vouched_at);
        if mem::replace(&mut self.pause, FIRST_PAUSE) != FIRST_PAUSE {
            tracing::info!("revocations are heard of again");
        }
        Ok(())
    }

    fn lose(&mut self) -> Ending {
        self.position = Position::Lost;
        Ending::SetBack
    }

    /// Twice as long each time, and not for all who were cut off at once the same.
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = LAST_PAUSE.min(pause * 2);
        let [random] = entropy::random();
        pause * u32::from(random) / u32::from(u8::MAX)
    }
}
