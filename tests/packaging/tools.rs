//! Where the tools come from: wheels of the Python package index, kept with what cargo
//! has built, and Debian's packages.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::support::python;

/// One of those that come as wheels.
pub fn wheel(name: &str) -> Command {
    static ENVIRONMENT: LazyLock<PathBuf> = LazyLock::new(|| {
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packaging/requirements.txt");
        python::environment("packaging", &list)
    });
    let mut command = Command::new(ENVIRONMENT.join("bin").join(name));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// What it says on standard output, if it succeeds, as it must.
#[track_caller]
pub fn output(command: &mut Command) -> String {
    output_of_input(command, "")
}

/// The same, with something on standard input.
#[track_caller]
pub fn output_of_input(command: &mut Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // It need not read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{complained}");
    said
}
