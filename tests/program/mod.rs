//! The program itself, with its commands.

mod backup;
mod canaries;
mod commands;
mod configuration;
mod doctor;
mod import;
mod keys;
mod logs;
mod revocations;
mod serve;
mod terminal;
mod tokens;
mod traces;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::program::{Program, command};

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

/// Of the users in what `users list --json` says.
fn emails(said: &str) -> Vec<String> {
    let listed: Value = serde_json::from_str(said).unwrap();
    let users = listed["users"].as_array().unwrap();
    let email = |user: &Value| user["email"].as_str().unwrap().to_owned();
    users.iter().map(email).collect()
}
