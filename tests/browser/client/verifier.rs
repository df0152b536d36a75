//! The verifier for servers in Node, against the program: `clients/typescript/test/verifier`,
//! and the app of `examples/recipes/websocket`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{PACKAGE, install, run};
use crate::support::app::{ADMIN, PASSWORD};
use crate::support::program::{self, Program};
use crate::support::servers;

const ISSUER: &str = "https://auth.example.com";
const CREDENTIAL: &str = "4d6f7265207468616e20333220636861726163746572732c206f7220736f2e";

const SETTINGS: &str = r#"
[tokens]
issuer = "https://auth.example.com"
es256_keys_file = "es256.pem"
rs256_keys_file = "rs256.pem"

[[tokens.templates]]
name = "notes"
audience = "notes"

[[tokens.templates]]
name = "others"
audience = "others"

[[tokens.templates]]
name = "es256"
audience = "others"
algorithm = "ES256"
claims = ["email"]

[[tokens.templates]]
name = "rs256"
audience = "others"
algorithm = "RS256"
claims = ["email"]
"#;

const KEYS: &str = r#"
const { generateKeyPairSync } = require("node:crypto");
const { writeFileSync } = require("node:fs");
const [ec, rsa] = [{ namedCurve: "P-256" }, { modulusLength: 2048 }];
for (const [file, type, options] of [["es256.pem", "ec", ec], ["rs256.pem", "rsa", rsa]]) {
  const { privateKey } = generateKeyPairSync(type, options);
  writeFileSync(file, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
}
"#;

/// The program, as it mints JWTs and tells of revocations.
fn service() -> (TempDir, Program) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gatelodge.toml"), SETTINGS).unwrap();
    run(node().args(["-e", KEYS]).current_dir(folder.path()));
    let mut command = program::command(folder.path());
    command
        .env("GATELODGE_REVOCATIONS__CREDENTIALS", CREDENTIAL)
        .env("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", ADMIN)
        .env("GATELODGE_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD);
    (folder, Program::run(command))
}

fn node() -> Command {
    Command::new(servers::program(&["node"], "node", "put it into PATH"))
}

/// Runs tests in Node, which are all there and succeed.
fn tested(command: &mut Command, service: &Program) {
    let said = run(command
        .env("GATELODGE_URL", format!("http://{}", service.address))
        .env("GATELODGE_ISSUER", ISSUER)
        .env("GATELODGE_CREDENTIAL", CREDENTIAL));
    assert!(
        said.contains("\n# skipped 0\n") && !said.contains("\n# pass 0\n"),
        "{said}"
    );
}

#[test]
fn a_server_in_node_refuses_what_is_not_good_or_has_ended() {
    let (_folder, service) = service();
    tested(
        super::npm_in(&PACKAGE).args(["run", "test:verifier"]),
        &service,
    );
}

/// The example beside the package that it depends on, in the copy of both.
fn example() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = PACKAGE.join("../../examples/recipes/websocket");
    fs::create_dir_all(&folder).unwrap();
    for file in [
        "examples/recipes/websocket/app.js",
        "examples/recipes/websocket/package.json",
        "examples/recipes/websocket/package-lock.json",
        "tests/browser/client/websocket.test.js",
    ] {
        let file = repository.join(file);
        fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
    }
    install(&folder);
    folder.canonicalize().unwrap()
}

#[test]
fn an_open_connection_is_closed_when_its_session_ends() {
    let (_folder, service) = service();
    let folder = example();
    let app = servers::started("websocket", "TERM", |_, port| {
        let mut command = Command::new("env");
        command
            .arg(format!("--chdir={}", folder.display()))
            .arg(format!("PORT={port}"))
            .arg(format!("GATELODGE_URL=http://{}", service.address))
            .arg(format!("GATELODGE_ISSUER={ISSUER}"))
            .arg(format!("GATELODGE_CREDENTIAL={CREDENTIAL}"))
            .arg(node().get_program())
            .arg("app.js");
        command
    });
    let mut tests = node();
    tests
        .args(["--test", "--test-reporter=tap", "websocket.test.js"])
        .env("APP", app.address.to_string())
        .current_dir(&folder);
    tested(&mut tests, &service);
}
