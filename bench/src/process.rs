//! Processes that are measured, and the cores they may use.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Where the server that is measured runs, alone.
pub const SERVER: Cores = Cores::Only(0);
/// Where everything else runs meanwhile: the load, Redis, PostgreSQL.
pub const OTHERS: Cores = Cores::Only(1);

/// How many there are; asked before this process first keeps to some.
pub static COUNT: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

#[derive(Clone, Copy)]
pub enum Cores {
    Only(usize),
    All,
}

impl Cores {
    fn numbers(self) -> Range<usize> {
        match self {
            Self::Only(core) => core..core + 1,
            Self::All => 0..*COUNT,
        }
    }

    /// Has this thread, and all that it starts from now on, keep to these.
    pub fn keep_to(self) -> Result<()> {
        LazyLock::force(&COUNT);
        let mut set = CpuSet::new();
        self.numbers().for_each(|core| set.set(core));
        sched_setaffinity(None, &set).context("two cores are needed")
    }

    /// A command that keeps to these, and that ends with the thread that starts it.
    pub fn command(self, program: impl AsRef<Path>) -> Command {
        let numbers = self.numbers();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "taskset", "-c"])
            .arg(format!("{}-{}", numbers.start, numbers.end - 1))
            .arg(program.as_ref());
        command
    }
}

const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A server, killed when it is dropped.
pub struct Process {
    child: Child,
    /// Kept open for what it may still say.
    _output: Option<BufReader<ChildStdout>>,
    pub address: SocketAddr,
}

impl Process {
    /// Starts a server that says where it listens, as Gatelodge does; also what it
    /// has said before.
    pub fn listening(mut command: Command, log: &Path) -> Result<(Self, Vec<String>)> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(log)?)
            .spawn()
            .with_context(|| format!("{command:?} does not run"))?;
        let output = child.stdout.take().context("its output")?;
        let (mut output, mut said) = (BufReader::new(output), Vec::new());
        let address = loop {
            let mut line = String::new();
            if output.read_line(&mut line)? == 0 {
                let log = fs::read_to_string(log)?;
                bail!("{command:?} does not start: {log}");
            }
            let line = line.trim_end();
            match line.split_once("listens on http://") {
                Some((_, address)) => break address.parse()?,
                None => said.push(line.to_owned()),
            }
        };
        let process = Self {
            child,
            _output: Some(output),
            address,
        };
        Ok((process, said))
    }

    /// Starts a server that was told where to listen.
    pub fn ready(
        mut command: Command,
        log: &Path,
        address: SocketAddr,
        is_ready: impl Fn() -> bool,
    ) -> Result<Self> {
        let log_file = fs::File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log_file.try_clone()?)
            .stderr(log_file)
            .spawn()
            .with_context(|| format!("{command:?} does not run"))?;
        let mut process = Self {
            child,
            _output: None,
            address,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        while !is_ready() {
            let is_running = process.child.try_wait()?.is_none();
            if !is_running || Instant::now() > deadline {
                bail!("{command:?} does not start: {}", fs::read_to_string(log)?);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(process)
    }

    /// Time on a processor so far, of all threads, and of all processes it has begun.
    pub fn cpu_time(&self) -> Result<Duration> {
        let mut family = vec![self.child.id().to_string()];
        let mut nanos: u64 = 0;
        while let Some(process) = family.pop() {
            for thread in fs::read_dir(format!("/proc/{process}/task"))? {
                let thread = thread?.path();
                // It may have ended since.
                let read = |name| fs::read_to_string(thread.join(name)).unwrap_or_default();
                let time = read("schedstat");
                nanos += time
                    .split(' ')
                    .next()
                    .unwrap_or_default()
                    .parse()
                    .unwrap_or(0);
                family.extend(read("children").split_whitespace().map(str::to_owned));
            }
        }
        ensure!(nanos > 0, "the kernel keeps no schedstat");
        Ok(Duration::from_nanos(nanos))
    }

    /// Bytes of memory in use.
    pub fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(kib.context("VmRSS")?.parse::<u64>()? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
