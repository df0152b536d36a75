//! The program itself, as a process of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::browser::Browser;
use super::servers::signal;
use super::within;

/// The program running in a folder, stopped when the test ends.
pub struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
    pub address: SocketAddr,
    pub started_in: Duration,
    log: Log,
}

/// What a program logs, read as it comes, and kept in memory.
struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Log {
    fn of(mut stderr: ChildStderr) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let read = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut chunk) {
                let mut text = read.lock().unwrap_or_else(PoisonError::into_inner);
                text.extend_from_slice(&chunk[..length]);
            }
        });
        Self { text, reader }
    }

    fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// All of it, once the program has ended.
    fn whole(self) -> String {
        let _ = self.reader.join();
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// The program in a folder, with nothing in its environment but what tests usually set.
pub fn command(folder: &Path) -> Command {
    command_of(Path::new(env!("CARGO_BIN_EXE_gatelodge")), folder)
}

/// The same, of another build of the program.
pub fn command_of(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_clear()
        .env("GATELODGE_SERVER__BIND", "127.0.0.1:0")
        .env("GATELODGE_PASSWORD__BCRYPT_COST", "4");
    command
}

impl Program {
    pub fn start(folder: &Path) -> Self {
        Self::run(command(folder))
    }

    /// Runs such a command until it says where it listens.
    pub fn run(mut command: Command) -> Self {
        let started = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let log = Log::of(child.stderr.take().expect("its log"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        let Some((_, address)) = line.trim().split_once("listens on http://") else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the program does not start: {line:?} {}", log.whole());
        };
        Self {
            child,
            output,
            address: address.parse().expect("an address"),
            started_in: started.elapsed(),
            log,
        }
    }

    /// The next line it says.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    pub fn signal(&self, name: &str) {
        signal(&self.id().to_string(), name);
    }

    /// Waits until it has ended by itself, for that long at most.
    pub async fn ends_within(&mut self, limit: Duration) -> ExitStatus {
        within(limit, "the program ends", async || {
            self.child.try_wait().expect("its state").is_some()
        })
        .await;
        self.child.wait().expect("its state")
    }
}

impl Program {
    /// Ends it; gives all that it has said and logged.
    pub fn end(mut self) -> (String, String) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut said = String::new();
        self.output.read_to_string(&mut said).expect("text");
        (said, self.log.text())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
