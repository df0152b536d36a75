//! A machine that boots this one's systemd: a container of `systemd-nspawn` on this
//! machine's `/usr`, with everything else empty, in memory, and gone afterwards.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::files::path;
use crate::support::servers::debian;
use crate::support::within;
use crate::tools::output;

pub struct Machine {
    nspawn: Child,
    enter: PathBuf,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// Two would have one tree of control groups, and end each other's services.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

impl Machine {
    /// With the files that a stranger has after a build, in `/src`, and this machine's
    /// network.
    pub async fn boot() -> Self {
        let turn = ONE_AT_A_TIME.lock().await;
        let nspawn = debian("systemd-nspawn", "systemd-container");
        let folder = tempfile::tempdir().unwrap();
        let console = File::create(folder.path().join("console")).unwrap();
        let deploy = format!("--bind-ro={}:/src/deploy", path("deploy").display());
        let built = env!("CARGO_BIN_EXE_gatelodge");
        let built = format!("--bind-ro={built}:/src/target/release/gatelodge");
        let name = uuid::Uuid::now_v7().simple();
        let nspawn = Command::new(nspawn)
            .args(["--directory=/", "--volatile=yes", "--tmpfs=/usr/local/bin"])
            .args(["--register=no", "--keep-unit", "--link-journal=no"])
            .args(["--console=pipe", &format!("--machine=gatelodge-{name}")])
            .args([&deploy, &built])
            .args([
                "--boot",
                "systemd.unit=basic.target",
                "systemd.firstboot=off",
            ])
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .spawn()
            .unwrap();
        let machine = Self {
            nspawn,
            enter: debian("nsenter", "util-linux"),
            folder,
            _turn: turn,
        };
        let limit = Duration::from_mins(1);
        within(limit, "systemd has booted", async || {
            machine.first_process().is_some()
                && machine
                    .command("systemctl is-active --quiet basic.target")
                    .output()
                    .unwrap()
                    .status
                    .success()
        })
        .await;
        machine
    }

    fn first_process(&self) -> Option<String> {
        let id = self.nspawn.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        Some(children.split_whitespace().next()?.to_owned())
    }

    fn command(&self, script: &str) -> Command {
        let console = || fs::read_to_string(self.folder.path().join("console"));
        let first = self.first_process();
        let first = first.unwrap_or_else(|| panic!("no machine: {:?}", console()));
        let mut command = Command::new(&self.enter);
        let script = format!("cd /src\n{script}");
        command
            .args(["--all", "--target", &first, "sh", "-ec", &script])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin");
        command
    }

    /// What root is told there.
    #[track_caller]
    pub fn says(&self, script: &str) -> String {
        output(&mut self.command(script)).trim().to_owned()
    }

    pub fn refuses(&self, script: &str) -> bool {
        !self.command(script).output().unwrap().status.success()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // All others go with its first process, which would outlive nspawn.
        let first = self.first_process().and_then(|id| id.parse().ok());
        if let Some(first) = first.and_then(Pid::from_raw) {
            let _ = kill_process(first, Signal::KILL);
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}
