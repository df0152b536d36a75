//! Many who verify JWTs somewhere, and hear of revocations, simulated by one process:
//! each has a connection of its own, and reads every event.
//!
//! `bench hear ADDRESS COUNT CREDENTIAL` says when all hear, and then, of each entry that
//! all have heard, when: half of them, 99 % and the last, in ns of the monotonic clock.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;

use crate::process::Cores;

const ALL_HEAR: &str = "all hear";

/// How many connect at the same time.
const AT_ONCE: usize = 200;

/// The process that simulates them, killed when it is dropped.
pub struct Fleet {
    child: Child,
    output: BufReader<ChildStdout>,
}

/// By when how many of them had heard an entry, since whatever the monotonic clock counts from.
pub struct Heard {
    pub half: Duration,
    /// 99 %.
    pub most: Duration,
    pub all: Duration,
}

/// The clock that all processes share.
pub fn now() -> Result<Duration> {
    Ok(clock_gettime(ClockId::Monotonic).try_into()?)
}

/// Has this process, and those that it starts from now on, open so many files.
pub fn allow_files(count: usize) -> Result<()> {
    let count = count as u64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    let current = Some(count);
    setrlimit(Resource::Nofile, Rlimit { current, maximum })
        .with_context(|| format!("{count} open files must be allowed (ulimit -Hn)"))
}

impl Fleet {
    pub fn start(address: SocketAddr, count: usize, credential: &str) -> Result<Self> {
        let mut command = Cores::All.command(std::env::current_exe()?);
        let mut child = command
            .args(["hear", &address.to_string(), &count.to_string(), credential])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("its output")?;
        let mut fleet = Self {
            child,
            output: BufReader::new(output),
        };
        let said = fleet.line()?;
        ensure!(said == ALL_HEAR, "{said}");
        Ok(fleet)
    }

    /// Once all have heard the next entry.
    pub fn heard(&mut self) -> Result<Heard> {
        let line = self.line()?;
        let times = line
            .split(' ')
            .map(|nanos| nanos.parse().map(Duration::from_nanos));
        let times = times.collect::<Result<Vec<_>, _>>()?;
        let [half, most, all] = times[..] else {
            bail!("no times: {line}");
        };
        Ok(Heard { half, most, all })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "the fleet has ended");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Listener {
    stream: TcpStream,
    /// Of a line that came in parts.
    received: Vec<u8>,
    event: Event,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Window,
    Entry,
    Other,
}

/// What an entry says of itself.
#[derive(Deserialize)]
struct Entry {
    number: u64,
}

/// What all of them have heard.
struct News {
    count: usize,
    windows: usize,
    /// Of entries that not all have heard.
    entries: BTreeMap<u64, Vec<u64>>,
}

#[expect(clippy::print_stdout, reason = "who has started it reads this")]
fn say(line: &str) -> Result<()> {
    println!("{line}");
    Ok(std::io::stdout().flush()?)
}

pub fn hear(address: SocketAddr, count: usize, credential: &str) -> Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let request = format!(
        "GET /api/revocations HTTP/1.1\r\nHost: localhost:8080\r\nAccept: text/event-stream\r\n\
         Authorization: Bearer {credential}\r\n\r\n"
    );
    let mut all = Vec::with_capacity(count);
    let mut news = News {
        count,
        windows: 0,
        entries: BTreeMap::new(),
    };
    let mut events = Vec::with_capacity(1024);
    let mut chunk = [0; 16 * 1024];
    loop {
        if news.windows == all.len() && all.len() < count {
            for index in all.len()..count.min(all.len() + AT_ONCE) {
                let mut stream = TcpStream::connect(address)?;
                stream.write_all(request.as_bytes())?;
                stream.set_nonblocking(true)?;
                let data = epoll::EventData::new_u64(index as u64);
                epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
                all.push(Listener {
                    stream,
                    received: Vec::new(),
                    event: Event::Other,
                });
            }
        }
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            let listener = &mut all[usize::try_from(event.data.u64())?];
            let length = listener.stream.read(&mut chunk)?;
            ensure!(length > 0, "a stream has ended");
            listener.receive(&chunk[..length], &mut news)?;
        }
    }
}

impl Listener {
    /// Lines of events, and those in between that say how long chunks are.
    fn receive(&mut self, bytes: &[u8], news: &mut News) -> Result<()> {
        self.received.extend_from_slice(bytes);
        let mut rest = self.received.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = &rest[..end];
            if let Some(name) = line.strip_prefix(b"event: ") {
                self.event = match name {
                    b"window" => Event::Window,
                    b"entry" => Event::Entry,
                    _ => Event::Other,
                };
            } else if let Some(data) = line.strip_prefix(b"data: ") {
                news.take_in(self.event, data)?;
            } else if let Some(status) = line.strip_prefix(b"HTTP/1.1 ") {
                let is_stream = status.starts_with(b"200");
                ensure!(is_stream, "{}", String::from_utf8_lossy(bytes));
            }
            rest = &rest[end + 1..];
        }
        self.received = rest.to_vec();
        Ok(())
    }
}

impl News {
    fn take_in(&mut self, event: Event, data: &[u8]) -> Result<()> {
        match event {
            Event::Window => {
                self.windows += 1;
                if self.windows == self.count {
                    say(ALL_HEAR)?;
                }
            }
            Event::Entry => {
                let Entry { number } = serde_json::from_slice(data)?;
                let times = self.entries.entry(number).or_default();
                times.push(u64::try_from(now()?.as_nanos())?);
                if times.len() == self.count {
                    // In the order of the clock.
                    let [half, most, last] =
                        [50, 99, 100].map(|percent| times[(self.count - 1) * percent / 100]);
                    say(&format!("{half} {most} {last}"))?;
                    self.entries.remove(&number);
                }
            }
            Event::Other => {}
        }
        Ok(())
    }
}
