//! `clients/typescript`. The client for browser apps: its types are those of the
//! description, and its calls are made for real, in Node and in a browser. The verifier for
//! servers.

mod node;
mod pages;
mod verifier;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use crate::npm;

/// The package as it is built, in a copy that lies beside the description as the original
/// does: nothing is left in the repository.
static PACKAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client");
    let (original, package) = (
        repository.join("clients/typescript"),
        copy.join("clients/typescript"),
    );
    fs::create_dir_all(copy.join("docs")).unwrap();
    fs::create_dir_all(&package).unwrap();
    fs::copy(
        repository.join("docs/openapi.json"),
        copy.join("docs/openapi.json"),
    )
    .unwrap();
    for replaced in ["src", "test", "dist"] {
        let _ = fs::remove_dir_all(package.join(replaced));
    }
    for part in [
        ".npmrc",
        "README.md",
        "package.json",
        "package-lock.json",
        "tsconfig.json",
        "src",
        "test",
    ] {
        let copied = Command::new("cp")
            .arg("-R")
            .arg(original.join(part))
            .arg(&package)
            .status();
        assert!(copied.unwrap().success(), "{part}");
    }
    install(&package);
    run(npm_in(&package).args(["run", "build"]));
    package
});

/// Exactly the packages of the lock file, unless they are there.
fn install(package: &Path) {
    let locked = fs::read(package.join("package-lock.json")).unwrap();
    let whole = package.join("node_modules/installed");
    if fs::read(&whole).is_ok_and(|installed| installed == locked) {
        return;
    }
    run(npm_in(package).args(["ci", "--no-audit", "--no-fund"]));
    fs::write(whole, locked).unwrap();
}

fn npm_in(package: &Path) -> Command {
    let mut npm = Command::new(npm());
    npm.current_dir(package);
    npm
}

/// What a command has said, which has succeeded.
#[track_caller]
fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(status.success(), "{command:?}: {said}");
    said
}
