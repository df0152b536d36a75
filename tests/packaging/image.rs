//! The Dockerfile, built and run. Its two base images cannot be had everywhere, and a
//! release build takes minutes: in their place stand the libraries of this machine, and
//! a `cargo` that gives out the program as the tests have built it. All else is the
//! Dockerfile's, done by a real builder and a real runtime.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::files::{instructions, path};
use crate::support::servers::debian;
use crate::support::within;
use crate::tools::output;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gatelodge");

/// Podman with a store of its own.
struct Podman {
    program: PathBuf,
    runtime: PathBuf,
    folder: TempDir,
}

impl Podman {
    fn new() -> Self {
        Self {
            program: debian("podman", "podman"),
            runtime: debian("runc", "runc"),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--root")
            .arg(self.folder.path().join("store"))
            .arg("--runroot")
            .arg(self.folder.path().join("run"))
            .arg("--runtime")
            .arg(&self.runtime)
            .args(["--events-backend=none", "--cgroup-manager=cgroupfs"])
            .args(arguments);
        command
    }

    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        output(&mut self.command(arguments))
    }

    /// An image of a folder.
    fn make(&self, name: &str, root: &Path, more: &str) {
        let file = root.with_extension("Dockerfile");
        fs::write(&file, format!("FROM scratch\nCOPY . /\n{more}")).unwrap();
        let (file, root) = (file.display().to_string(), root.display().to_string());
        self.says(&["build", "--quiet", "--tag", name, "--file", &file, &root]);
    }

    /// Runs the image as `docker run` would with such options, and no rights.
    fn run(&self, options: &[&str], arguments: &[&str]) -> String {
        let mut all = vec![
            "run",
            "--network=none",
            "--read-only",
            "--read-only-tmpfs=false",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            // Its timers would be systemd's.
            "--no-healthcheck",
            "--ulimit=nofile=1024:1024",
            "--ulimit=nproc=1024:1024",
        ];
        all.extend(options);
        all.push("gatelodge");
        all.extend(arguments);
        self.says(&all)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.command(&["rm", "--force", "--all"]).output();
        // Its layers may be mounted still.
        let _ = self.command(&["rmi", "--force", "--all"]).output();
    }
}

/// In place of the last base image: what the program is linked to.
fn base(folder: &Path) -> PathBuf {
    let root = folder.join("base");
    for place in ["etc", "run", "tmp", "var/lib", "usr/local/bin"] {
        fs::create_dir_all(root.join(place)).unwrap();
    }
    let linked = output(Command::new("ldd").arg(PROGRAM));
    let files = linked
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for file in files {
        let there = root.join(file.trim_start_matches('/'));
        fs::create_dir_all(there.parent().unwrap()).unwrap();
        fs::copy(file, there).unwrap();
    }
    root
}

/// In place of Rust's image: a shell, and a `cargo` that takes the Dockerfile's command.
fn builder(folder: &Path) -> PathBuf {
    let root = folder.join("builder");
    let bin = root.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy(debian("busybox", "busybox-static"), bin.join("busybox")).unwrap();
    for name in ["sh", "mkdir", "cp"] {
        symlink("busybox", bin.join(name)).unwrap();
    }
    fs::copy(PROGRAM, root.join("built")).unwrap();
    let cargo = "#!/bin/sh\nset -e\n\
        [ \"$*\" = 'build --locked --release --bin gatelodge' ]\n\
        [ -f Cargo.lock ] && [ -d src ] && [ -d migrations ] && [ ! -e .git ]\n\
        mkdir -p target/release\n\
        cp /built target/release/gatelodge\n";
    fs::write(bin.join("cargo"), cargo).unwrap();
    fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    root
}

fn build(podman: &Podman) {
    let folder = podman.folder.path();
    let bases = instructions("FROM");
    let [rust, distroless] = &bases[..] else {
        panic!("two stages: {bases:?}");
    };
    let rust = rust.strip_suffix(" AS build").unwrap();
    podman.make(
        &format!("docker.io/library/{rust}"),
        &builder(folder),
        "ENV PATH=/bin\n",
    );
    podman.make(distroless, &base(folder), "");
    let context = path("").display().to_string();
    // A step of the build in a chroot, for which no cgroup is needed.
    let how = [
        "build",
        "--format=docker",
        "--isolation=chroot",
        "--pull-never",
    ];
    podman.says(&[&how, &["--tag=gatelodge", context.as_str()][..]].concat());
}

#[tokio::test]
async fn the_image_runs_without_rights_on_a_root_that_cannot_be_written() {
    let podman = Podman::new();
    build(&podman);
    let image: Value = serde_json::from_str(&podman.says(&["inspect", "gatelodge"])).unwrap();
    let check = &image[0]["Healthcheck"]["Test"];
    let check: Vec<&str> = check
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    let ["CMD", check @ ..] = &check[..] else {
        panic!("a check without a shell: {check:?}");
    };

    podman.run(
        &[
            "--detach",
            "--name=alone",
            "--volume=data:/var/lib/gatelodge",
        ],
        &[],
    );
    within(Duration::from_secs(20), "it is healthy", async || {
        let exec = [&["exec", "alone"], check].concat();
        podman.command(&exec).output().unwrap().status.success()
    })
    .await;
    let state: Value = serde_json::from_str(&podman.says(&["inspect", "alone"])).unwrap();
    let id = &state[0]["State"]["Pid"];
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let has = |line: &str| status.lines().any(|other| other == line);
    assert!(has("Uid:\t65532\t65532\t65532\t65532"), "{status}");
    assert!(has("CapBnd:\t0000000000000000"), "{status}");
    assert!(has("NoNewPrivs:\t1") && has("Seccomp:\t2"), "{status}");
    let mounts = fs::read_to_string(format!("/proc/{id}/mounts")).unwrap();
    let root = mounts
        .lines()
        .find(|line| line.split(' ').nth(1) == Some("/"));
    assert!(root.unwrap().contains(" ro,"), "{mounts}");
    let shell = podman
        .command(&["exec", "alone", "sh", "-c", "true"])
        .output();
    assert!(!shell.unwrap().status.success(), "there is no shell");

    // Users are there after another start, on the same volume.
    let ada = [
        "users",
        "create",
        "--email",
        "ada@example.com",
        "--name",
        "Ada",
        "--invite",
    ];
    podman.says(&[&["exec", "alone", "gatelodge"][..], &ada].concat());
    podman.says(&["stop", "alone"]);
    let state: Value = serde_json::from_str(&podman.says(&["inspect", "alone"])).unwrap();
    assert_eq!(state[0]["State"]["ExitCode"], 0, "SIGTERM ends it: {state}");
    let users = podman.run(
        &["--rm", "--volume=data:/var/lib/gatelodge"],
        &["users", "list"],
    );
    assert!(users.contains("ada@example.com"), "{users}");

    // As the Compose file makes its key: once.
    let generate = ["keys", "generate", "--out", "/run/gatelodge/keys/key"];
    let keys = || podman.run(&["--rm", "--volume=keys:/run/gatelodge/keys"], &generate);
    assert!(keys().contains("wrote a new key"));
    assert!(keys().contains("is there already"));
}
