//! The load generator: one thread, some connections kept alive, and no more
//! parsing than it takes to find an answer's end. It keeps to the cores that the
//! thread that calls it may use.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::http::{Frame, get_up_to_cookie};

/// What is asked, and what must be answered.
pub struct Target {
    pub address: SocketAddr,
    pub path: &'static str,
    /// Taken in turn; each the value of a `Cookie` header.
    pub cookies: Vec<String>,
    pub expected: u16,
}

/// When the next request is sent.
#[derive(Clone, Copy)]
pub enum Pace {
    /// At once, on each connection that has its answer.
    Closed,
    /// So many a second, however slow the answers are.
    PerSecond(u32),
}

#[derive(Clone, Copy)]
pub enum Until {
    Passed(Duration),
    /// Each cookie was used once.
    AllAsked,
}

pub struct Load {
    pub answers: u64,
    pub taken: Duration,
    /// Sorted. At a fixed pace, from when a request was meant to be sent, so that a
    /// server that stalls does not hide behind the requests it has held up.
    pub latencies: Vec<Duration>,
}

impl Load {
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    pub fn per_second(&self) -> f64 {
        self.answers as f64 / self.taken.as_secs_f64()
    }

    pub fn percentile(&self, percent: usize) -> Duration {
        self.latencies[(self.latencies.len() - 1) * percent / 100]
    }
}

struct Connection {
    stream: TcpStream,
    /// Of an answer that came in parts.
    received: Vec<u8>,
    meant_for: Instant,
}

/// Asks over so many connections; an answer of another status than the expected
/// one is an error.
pub fn load(target: &Target, connections: usize, pace: Pace, until: Until) -> Result<Load> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut all = Vec::with_capacity(connections);
    for index in 0..connections {
        let stream = TcpStream::connect(target.address)
            .with_context(|| format!("nobody listens at {}", target.address))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
        all.push(Connection {
            stream,
            received: Vec::new(),
            meant_for: Instant::now(),
        });
    }
    let started = Instant::now();
    let mut run = Run {
        target,
        pace,
        until,
        started,
        begin: get_up_to_cookie(target.path),
        request: Vec::new(),
        sent: 0,
        idle: (0..connections).collect(),
        latencies: Vec::new(),
    };
    let mut events = Vec::with_capacity(connections);
    let mut answers = 0;
    loop {
        let wait = run.send_what_is_due(&mut all)?;
        if run.idle.len() == connections && wait == Wait::Over {
            break;
        }
        let timeout = match wait {
            Wait::At(due) => {
                let left = due.saturating_duration_since(Instant::now());
                Some(Timespec::try_from(left)?)
            }
            // A client elsewhere is not woken at the server's expense. This one does not
            // sleep, so that a server is not charged for being the slower.
            Wait::Over | Wait::ForAnswers => match pace {
                Pace::Closed => Some(Timespec::default()),
                Pace::PerSecond(_) => None,
            },
        };
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), timeout.as_ref())?;
        for event in &events {
            let index = usize::try_from(event.data.u64())?;
            answers += u64::from(run.receive(index, &mut all[index])?);
        }
    }
    let taken = started.elapsed();
    ensure!(answers > 0, "nothing was answered");
    run.latencies.sort_unstable();
    Ok(Load {
        answers,
        taken,
        latencies: run.latencies,
    })
}

/// What there is to wait for, besides answers.
#[derive(PartialEq, Eq)]
enum Wait {
    At(Instant),
    ForAnswers,
    /// Nothing more is sent.
    Over,
}

struct Run<'a> {
    target: &'a Target,
    pace: Pace,
    until: Until,
    started: Instant,
    begin: Vec<u8>,
    request: Vec<u8>,
    sent: u64,
    /// Who has waited longest comes first: servers hang up on who says nothing.
    idle: VecDeque<usize>,
    latencies: Vec<Duration>,
}

impl Run<'_> {
    fn send_what_is_due(&mut self, all: &mut [Connection]) -> Result<Wait> {
        let now = Instant::now();
        loop {
            let due = match self.pace {
                Pace::Closed => now,
                Pace::PerSecond(rate) => {
                    let nanos = self.sent * 1_000_000_000 / u64::from(rate);
                    self.started + Duration::from_nanos(nanos)
                }
            };
            let is_over = match self.until {
                Until::Passed(time) => due >= self.started + time,
                Until::AllAsked => self.sent >= self.target.cookies.len() as u64,
            };
            if is_over {
                return Ok(Wait::Over);
            }
            if due > now {
                return Ok(Wait::At(due));
            }
            let Some(index) = self.idle.pop_front() else {
                return Ok(Wait::ForAnswers);
            };
            self.send(&mut all[index], due)?;
        }
    }

    fn send(&mut self, connection: &mut Connection, due: Instant) -> Result<()> {
        let cookies = &self.target.cookies;
        let turn = usize::try_from(self.sent)? % cookies.len();
        self.request.clear();
        self.request.extend_from_slice(&self.begin);
        self.request.extend_from_slice(cookies[turn].as_bytes());
        self.request.extend_from_slice(b"\r\n\r\n");
        connection.stream.write_all(&self.request)?;
        connection.meant_for = due;
        self.sent += 1;
        Ok(())
    }

    /// Whether that was the rest of an answer.
    fn receive(&mut self, index: usize, connection: &mut Connection) -> Result<bool> {
        let mut chunk = [0; 4096];
        let count = connection.stream.read(&mut chunk)?;
        ensure!(count > 0, "the server has closed a connection");
        let bytes = if connection.received.is_empty() {
            &chunk[..count]
        } else {
            connection.received.extend_from_slice(&chunk[..count]);
            &connection.received
        };
        let Some(frame) = Frame::of(bytes) else {
            if connection.received.is_empty() {
                connection.received.extend_from_slice(&chunk[..count]);
            }
            return Ok(false);
        };
        if frame.status != self.target.expected {
            bail!(
                "{} is expected for {}, not: {}",
                self.target.expected,
                self.target.path,
                String::from_utf8_lossy(bytes)
            );
        }
        connection.received.clear();
        if let Pace::PerSecond(_) = self.pace {
            self.latencies.push(connection.meant_for.elapsed());
        }
        self.idle.push_back(index);
        Ok(true)
    }
}
