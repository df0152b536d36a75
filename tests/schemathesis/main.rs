//! The service against its own description: Schemathesis makes requests of
//! `/openapi.json`, right ones and wrong ones, and holds every answer against it. In a
//! binary of its own, since it takes the machine for a while.
//!
//! A few thousand requests; `SCHEMATHESIS_CASES=20000` asks for that many.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and one that measures says what"
)]

#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the other tests stand on the rest of it"
)]
mod support;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use gatelodge::startup::generate_key;

use support::Stack::{self, Embedded, Scaled};
use support::app::TestDatabase;
use support::foreign::BY_SECRET;
use support::program::{self, Program};
use support::python;
use support::servers::REDIS;

/// Who asks: nobody, and two who are logged in.
const ROLES: [&str; 3] = ["nobody", "user", "admin"];

/// As behind a proxy with TLS, so that the cookie has the name that is described.
const SETTINGS: [(&str, &str); 5] = [
    ("GATELODGE_SERVER__PUBLIC_URL", "https://auth.example.com"),
    ("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ("GATELODGE_LOG__LEVEL", "warn"),
    // As good as none: most log-ins that are tried are wrong, and all from here.
    ("GATELODGE_THROTTLE__MAX_ATTEMPTS_PER_IP", "1000000"),
    ("GATELODGE_THROTTLE__WINDOW", "1ms"),
];

/// What they need goes a way that no description leads: a token out of a link into a page, a
/// JWT out of another system, a credential out of the configuration.
const NEVER_DONE: [&str; 3] = [
    "POST /api/password/redeem",
    "POST /api/sessions/exchange",
    "GET /api/revocations",
];

const USUAL_CASES: usize = 2000;

fn cases() -> usize {
    let asked = std::env::var("SCHEMATHESIS_CASES").ok();
    asked.map_or(USUAL_CASES, |cases| cases.parse().expect("a number"))
}

#[tokio::test]
async fn every_answer_is_as_described_whatever_is_asked_by_whomever() {
    let asked = cases();
    let mut answered = 0;
    for stack in [Embedded, Scaled] {
        // A stack is sent over a hundred for each that an operation is tried with.
        answered += hold_against_its_description(stack, asked / 200).await;
    }
    println!("{answered} requests were answered as described");
    assert!(answered >= asked, "{answered} requests only");
}

async fn hold_against_its_description(stack: Stack, examples: usize) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = program::command(folder.path());
    serve.envs(SETTINGS).envs(BY_SECRET);
    let database = match stack {
        Embedded => None,
        Scaled => Some(TestDatabase::create().await),
    };
    if let Some(TestDatabase { name, url }) = &database {
        serve
            .env("DATABASE_URL", url)
            .env("REDIS_URL", &REDIS.url)
            .env("GATELODGE_REDIS__KEY_PREFIX", name)
            .env("GATELODGE_SECRETS__KEYS", generate_key());
    }
    let settings = serve.get_envs();
    let settings: Vec<_> = settings
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    let program = Program::run(serve);
    let runs = ROLES.map(|role| Run::start(role, examples, &program, folder.path(), &settings));
    let answers: Vec<_> = runs.into_iter().flat_map(Run::finish).collect();

    let log = program.log();
    assert!(!log.contains("\"ERROR\""), "{stack:?}: {log}");
    let done = answers.iter().filter(|answer| answer.status < 300);
    let done: BTreeSet<_> = done.map(|answer| answer.operation.as_str()).collect();
    let mut missed = operations();
    missed.retain(|operation| {
        let operation = operation.as_str();
        !done.contains(operation) && !NEVER_DONE.contains(&operation)
    });
    assert!(missed.is_empty(), "{stack:?}: never done: {missed:?}");
    answers.len()
}

/// Schemathesis at work for somebody.
struct Run {
    child: Child,
    /// What it has to say.
    report: PathBuf,
    answers: PathBuf,
}

struct Answer {
    operation: String,
    status: u16,
}

impl Run {
    fn start(
        role: &str,
        examples: usize,
        program: &Program,
        folder: &Path,
        settings: &[(OsString, OsString)],
    ) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis");
        let environment = python::environment("schemathesis", &here.join("requirements.txt"));
        let service = format!("http://{}", program.address);
        let (report, answers) = (
            folder.join(format!("{role}.report")),
            folder.join(format!("{role}.answers")),
        );
        let said = File::create(&report).unwrap();
        let child = Command::new(environment.join("bin/schemathesis"))
            .arg("--config-file")
            .arg(here.join("schemathesis.toml"))
            .args(["--no-color", "run"])
            .arg(format!("{service}/openapi.json"))
            .arg(format!("--max-examples={examples}"))
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .env("SCHEMATHESIS_HOOKS", here.join("hooks.py"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PROGRAM", env!("CARGO_BIN_EXE_gatelodge"))
            .env("SERVICE", service)
            .env("ROLE", role)
            .env("ANSWERS", &answers)
            .stderr(said.try_clone().unwrap())
            .stdout(said)
            .spawn()
            .expect("Schemathesis runs");
        Self {
            child,
            report,
            answers,
        }
    }

    /// What it was answered, all of it right.
    fn finish(mut self) -> Vec<Answer> {
        let status = self.child.wait().unwrap();
        let report = fs::read_to_string(&self.report).unwrap();
        assert!(status.success(), "{report}");
        let answers = fs::read_to_string(&self.answers).unwrap();
        answers.lines().map(Answer::read).collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    fn read(line: &str) -> Self {
        let (operation, status) = line.rsplit_once(' ').expect("a line of hooks.py");
        Self {
            operation: operation.to_owned(),
            status: status.parse().expect("a status"),
        }
    }
}

/// The methods and paths that are described.
fn operations() -> Vec<String> {
    let document = serde_json::to_value(gatelodge::http::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    operations.collect()
}
