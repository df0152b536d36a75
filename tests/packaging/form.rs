//! Each file is held against what knows its form.

use std::fs;
use std::process::Command;

use rstest::rstest;

use crate::files::{Migration, built, path, text};
use crate::support::servers::debian;
use crate::tools::{output, output_of_input, wheel};

#[test]
fn hadolint_complains_of_nothing_in_the_dockerfile() {
    output(wheel("hadolint").args(["--failure-threshold", "style", "Dockerfile"]));
}

#[test]
fn docker_compose_reads_its_file() {
    output(wheel("docker-compose").args(["config", "--quiet"]));
}

/// The oldest that knows all that is used, and the newest there is.
#[rstest]
fn the_manifests_have_the_form_of_kubernetes(
    #[values("1.30", "1.37")] version: &str,
    #[values(Migration::AtTheStart, Migration::ByAJob)] migration: Migration,
) {
    let mut validate = wheel("kubernetes-validate");
    validate.args(["--strict", "-k", version, "-"]);
    output_of_input(&mut validate, &built(migration));
}

/// Tenths of what systemd calls exposure; services without any hardening have 96.
const EXPOSURE: &str = "12";

#[test]
fn systemd_reads_the_unit_and_finds_little_exposed() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("gatelodge.service");
    let program = env!("CARGO_BIN_EXE_gatelodge");
    let installed = text("deploy/systemd/gatelodge.service");
    fs::write(
        &unit,
        installed.replace("/usr/local/bin/gatelodge", program),
    )
    .unwrap();
    let dropped_in = folder.path().join("gatelodge.service.d");
    fs::create_dir(&dropped_in).unwrap();
    fs::copy(
        path("deploy/systemd/postgres.conf"),
        dropped_in.join("postgres.conf"),
    )
    .unwrap();
    let analyze = debian("systemd-analyze", "systemd");
    output(
        Command::new(&analyze)
            .args(["verify", "--man=no"])
            .arg(&unit),
    );
    let threshold = format!("--threshold={EXPOSURE}");
    let security = ["security", "--no-pager", "--offline=true", &threshold];
    output(Command::new(&analyze).args(security).arg(&unit));
}
