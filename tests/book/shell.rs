//! A shell in a folder of its own, as somebody has who reads a page and types what it
//! shows. The ports and servers that the page names are others here, of which it hears
//! nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::support::servers::free_port;

/// How long what is started may take until it says so.
const PATIENCE: Duration = Duration::from_secs(20);

/// What ends the output of a command, with its status.
const END: &str = "\u{1}end ";

pub struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    folder: TempDir,
    /// What pages name, and what stands for it here.
    names: Vec<(String, String)>,
    commands: usize,
    /// What listens where, by the number of its command.
    listening: BTreeMap<String, usize>,
}

/// The ports that pages name.
const PORTS: [u16; 5] = [8080, 8081, 3000, 5173, 4173];

/// `cargo run` of this package, which is built already.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
    "run --release") exec gatelodge ;;
    "run -- "*) shift 2; exec gatelodge "$@" ;;
    "run --release -- "*) shift 3; exec gatelodge "$@" ;;
    *) echo "not in a page: cargo $*" >&2; exit 1 ;;
esac
"#;

impl Shell {
    /// With servers in the place of those of `docker compose up postgres redis`.
    pub fn open(servers: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ports = PORTS.map(|port| (format!(":{port}"), format!(":{}", free_port())));
        let [service, ..] = &ports;
        let (bind, url) = (
            format!("127.0.0.1{}", service.1),
            format!("http://localhost{}", service.1),
        );
        let servers = servers
            .iter()
            .map(|(name, here)| ((*name).to_owned(), (*here).to_owned()));
        let names = servers.chain(ports.clone()).collect();

        let tools = folder.path().join(".tools");
        fs::create_dir(&tools).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_gatelodge"), tools.join("gatelodge"))
            .unwrap();
        fs::write(tools.join("cargo"), CARGO).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(tools.join("cargo"), executable).unwrap();
        // A page that waits in vain is wrong, too.
        let patience = format!("max-time = {}\n", PATIENCE.as_secs());
        fs::write(folder.path().join(".curlrc"), patience).unwrap();
        let path = std::env::var("PATH").expect("a path");
        let mut child = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", format!("{}:{path}", tools.display()))
            .env("HOME", folder.path())
            .env("LANG", "C.UTF-8")
            .env("GATELODGE_SERVER__BIND", bind)
            .env("GATELODGE_SERVER__PUBLIC_URL", url)
            .env("GATELODGE_PASSWORD__BCRYPT_COST", "4")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .process_group(0)
            .spawn()
            .expect("bash runs");
        Self {
            input: child.stdin.take().expect("its input"),
            output: BufReader::new(child.stdout.take().expect("its output")),
            child,
            folder,
            names,
            commands: 0,
            listening: BTreeMap::new(),
        }
    }

    fn here(&self, text: &str) -> String {
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (name, here)| {
            text.replace(name, here)
        })
    }

    fn as_written(&self, text: &str) -> String {
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (name, here)| {
            text.replace(here, name)
        })
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), self.here(text)).expect("a file");
    }

    /// Where commands are kept, so that none of them can read those after it.
    fn kept(&mut self, command: &str) -> PathBuf {
        self.commands += 1;
        let script = self.folder.path().join(format!(".tools/{}", self.commands));
        fs::write(&script, self.here(command)).expect("a file");
        script
    }

    /// Runs commands in this shell, whatever becomes of them: what they say, and the last
    /// one's status.
    pub fn run(&mut self, commands: &str) -> (String, i32) {
        let (said, status) = self.typed(commands, "");
        (said, status.expect("the shell goes on"))
    }

    /// Runs commands, all of which are to succeed; the first that does not ends the shell.
    pub fn succeed(&mut self, commands: &str) -> Result<(), String> {
        match self.typed(commands, "set -e; ") {
            (_, Some(0)) => Ok(()),
            (said, _) => Err(format!("this fails:\n{commands}\n{said}")),
        }
    }

    fn typed(&mut self, commands: &str, before: &str) -> (String, Option<i32>) {
        let script = self.kept(commands);
        let line = format!(
            "{before}{{ . {}; }} </dev/null 2>&1; printf '\\n{END}%s\\n' $?; set +e\n",
            script.display()
        );
        self.input.write_all(line.as_bytes()).expect("a shell");
        let (mut said, mut line) = (String::new(), String::new());
        let status = loop {
            line.clear();
            if self.output.read_line(&mut line).expect("text") == 0 {
                break None;
            }
            if let Some(status) = line.strip_prefix(END) {
                break Some(status.trim().parse().expect("a status"));
            }
            said.push_str(&line);
        };
        (self.as_written(&said), status)
    }

    /// Starts what listens at an address, in the place of what has listened there so far,
    /// and waits until it has said so. It goes on until the page ends.
    pub fn start(
        &mut self,
        command: &str,
        address: &str,
        has_said: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        let script = self.kept(command);
        let before = self.listening.insert(address.to_owned(), self.commands);
        if let Some(before) = before {
            self.run(&format!(
                "pkill -P $command_{before}; wait $command_{before}"
            ));
        }
        let (said, log) = (script.with_extension("said"), script.with_extension("log"));
        let line = format!(
            "{{ . {}; }} </dev/null >{} 2>{} & command_{}=$!\n",
            script.display(),
            said.display(),
            log.display(),
            self.listening[address]
        );
        self.input.write_all(line.as_bytes()).expect("a shell");
        let text = |file| self.as_written(&fs::read_to_string(file).unwrap_or_default());
        let deadline = Instant::now() + PATIENCE;
        while !has_said(&text(&said)) {
            if Instant::now() > deadline {
                return Err(format!("{command} says\n{}\n{}", text(&said), text(&log)));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}
