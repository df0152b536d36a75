//! What the recipes stand on: packages of npm and of the Python package index, in exactly
//! the versions that they name, kept with what cargo has built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::page::root;
use crate::support::python;
use crate::support::servers::program;

pub fn recipe(name: &str) -> PathBuf {
    root().join("examples/recipes").join(name)
}

/// A program of Node.js's.
pub fn node(name: &str) -> PathBuf {
    program(&[name], "npm", "put node and npm, of Node.js 20, into PATH")
}

/// A copy of a recipe with its packages, from npm.
pub fn with_npm(name: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let folder = copy(name);
    let lock = fs::read(recipe(name).join("package-lock.json")).unwrap();
    let note = folder.join("installed");
    if !fs::read(&note).is_ok_and(|installed| installed == lock) {
        let quiet = [
            "--ignore-scripts",
            "--prefer-offline",
            "--no-audit",
            "--no-fund",
        ];
        let mut npm = Command::new(node("npm"));
        succeeds(npm.arg("ci").args(quiet).current_dir(&folder));
        fs::write(note, lock).unwrap();
    }
    folder
}

/// A copy of a recipe, and the environment with its packages.
pub fn with_python(name: &str) -> (PathBuf, PathBuf) {
    let environment = format!("recipe-{name}-packages");
    let packages = python::environment(&environment, &recipe(name).join("requirements.txt"));
    (copy(name), packages)
}

pub fn succeeds(command: &mut Command) {
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let failed = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?} says {said} {failed}");
}

/// The files of a recipe where they leave no trace in the repository.
fn copy(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("recipe-{name}"));
    fs::create_dir_all(&folder).unwrap();
    let files = format!("{}/.", recipe(name).display());
    succeeds(Command::new("cp").arg("-R").arg(files).arg(&folder));
    folder
}
