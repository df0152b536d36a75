//! The program itself, with its commands.

mod commands;
mod configuration;
mod serve;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::Browser;

/// The program running in a folder, stopped when the test ends.
struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
    started_in: Duration,
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatelodge"));
    command
        .current_dir(folder)
        .env_clear()
        .env("GATELODGE_SERVER__BIND", "127.0.0.1:0")
        .env("GATELODGE_PASSWORD__BCRYPT_COST", "4");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    outcome(command(folder).args(arguments))
}

/// What the program says until it ends, as it must by itself.
fn outcome(command: &mut Command) -> Output {
    outcome_of_input(command, "")
}

/// The same, with something on standard input.
fn outcome_of_input(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It need not read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!(
                "the program goes on: {:?}",
                child.wait_with_output().unwrap()
            );
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

impl Program {
    fn start(folder: &Path) -> Self {
        let started = Instant::now();
        let mut child = command(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let (_, address) = line
            .trim()
            .split_once("listens on http://")
            .unwrap_or_else(|| panic!("{line:?}"));
        Self {
            child,
            output,
            address: address.parse().unwrap(),
            started_in: started.elapsed(),
        }
    }

    /// The next line it says.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
