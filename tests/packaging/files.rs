//! The files, as those who take them read them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::tools::{output, output_of_input, wheel};

pub type Environment = BTreeMap<String, String>;

pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The Compose file, with all that it repeats written out.
pub fn compose() -> Value {
    let config = ["config", "--format", "json"];
    let written_out = output(wheel("docker-compose").args(config));
    serde_json::from_str(&written_out).unwrap()
}

/// Who changes the schema of the database.
#[derive(Clone, Copy, Debug)]
pub enum Migration {
    AtTheStart,
    ByAJob,
}

/// The manifests as `kubectl apply --kustomize` sends them, in YAML.
pub fn built(migration: Migration) -> String {
    let folder = tempfile::tempdir().unwrap();
    let all = folder.path().join("all");
    output(
        std::process::Command::new("cp")
            .arg("-r")
            .arg(path("deploy/kubernetes"))
            .arg(&all),
    );
    if let Migration::ByAJob = migration {
        let file = all.join("kustomization.yaml");
        let commented = fs::read_to_string(&file).unwrap();
        let whole = commented.replace("# components:", "components:");
        assert_ne!(whole, commented);
        fs::write(file, whole).unwrap();
    }
    output(wheel("kubectl").arg("kustomize").arg(all))
}

/// The same, read.
pub fn manifests(migration: Migration) -> Vec<Value> {
    let to_json = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))";
    let json = output_of_input(wheel("python").args(["-c", to_json]), &built(migration));
    serde_json::from_str(&json).unwrap()
}

#[track_caller]
pub fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> &'a Value {
    let mut found = manifests.iter().filter(|manifest| manifest["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "one {kind}");
    first
}

/// The pods that are made of those manifests.
pub fn pods(manifests: &[Value]) -> Vec<&Value> {
    let templates = manifests
        .iter()
        .map(|manifest| &manifest["spec"]["template"]);
    templates.filter(|template| template.is_object()).collect()
}

/// The lines `NAME=value` of a file.
pub fn variables(text: &str) -> Environment {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What a unit, or what is dropped in beside it, sets a key to, as often as it does.
pub fn set_in_unit<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .collect()
}

/// What a line of the Dockerfile that begins with this word says, as often as there is one.
pub fn instructions(word: &str) -> Vec<String> {
    let whole = text("Dockerfile").replace("\\\n", "");
    let lines = whole.lines().filter_map(|line| line.split_once(' '));
    lines
        .filter(|(first, _)| *first == word)
        .map(|(_, rest)| rest.to_owned())
        .collect()
}
