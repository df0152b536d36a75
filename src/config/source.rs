//! Where a configuration comes from: a file, and over it the environment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, Map, Source as _, Value, ValueKind};

use super::DEFAULT_FILE;

pub(super) const PREFIX: &str = "GATELODGE";

/// Plain names that everybody knows, and the whole ones.
const PLAIN: [(&str, &str); 2] = [
    ("DATABASE_URL", "GATELODGE_DATABASE__URL"),
    ("REDIS_URL", "GATELODGE_REDIS__URL"),
];

/// Whether there is a file of that name, be it a link that leads nowhere.
#[must_use]
pub fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether a configuration takes heed of a variable of that name.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let plain = name.strip_suffix("_FILE").unwrap_or(name);
    name.starts_with("GATELODGE_") || PLAIN.iter().any(|(known, _)| *known == plain)
}

#[derive(Clone, Default)]
pub(super) struct Source {
    file: Option<PathBuf>,
    environment: Map<String, String>,
}

/// What is set, by its whole key.
pub(super) type Table = BTreeMap<String, Given>;

pub(super) enum Given {
    Text(String),
    List(Vec<String>),
    Tables(Vec<Table>),
}

impl Given {
    /// As a variable that is there and empty.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }
}

impl Source {
    /// Of the environment, what is ours; a plain name gives way to the whole one.
    pub(super) fn new(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let environment: BTreeMap<_, _> = environment.into_iter().collect();
        let ours = environment
            .iter()
            .filter(|(name, _)| name.starts_with("GATELODGE_"));
        let mut ours: Map<String, String> = ours
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        for (plain, whole) in PLAIN {
            let directly_and_by_file =
                [plain, whole].map(|name| [name.to_owned(), format!("{name}_FILE")]);
            let [plain, whole] = directly_and_by_file;
            if !whole.iter().any(|name| ours.contains_key(name)) {
                for (plain, whole) in plain.iter().zip(whole) {
                    let value = environment.get(plain).cloned();
                    ours.extend(value.map(|value| (whole, value)));
                }
            }
        }
        let default = Path::new(DEFAULT_FILE);
        let file = file.or_else(|| is_there(default).then_some(default));
        Self {
            file: file.map(Path::to_path_buf),
            environment: ours,
        }
    }

    /// That one variable, and nothing else.
    pub(super) fn of_variable(name: &str, value: String) -> Self {
        Self {
            file: None,
            environment: Map::from([(name.to_owned(), value)]),
        }
    }

    /// # Errors
    /// What is wrong with the file as a whole.
    pub(super) fn read(&self) -> Result<Table, String> {
        let file = self.file.as_deref();
        let file = file.map(|path| File::from(path).format(FileFormat::Toml));
        let environment = Environment::with_prefix(PREFIX)
            .prefix_separator("_")
            .separator("__")
            .source(Some(self.environment.clone()));
        let layers = Config::builder()
            .add_source(Vec::from_iter(file))
            .add_source(environment)
            .build();
        let tree = layers.and_then(|layers| layers.collect());
        let tree = tree.map_err(|error| without_source(&error.to_string()))?;
        Ok(flat(tree))
    }
}

fn flat(tree: Map<String, Value>) -> Table {
    let mut table = Table::new();
    flatten("", tree, &mut table);
    table
}

fn flatten(prefix: &str, tree: Map<String, Value>, into: &mut Table) {
    for (name, value) in tree {
        let key = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        match value.kind {
            ValueKind::Table(tree) => flatten(&key, tree, into),
            ValueKind::Array(values) => {
                into.insert(key, array(&values));
            }
            ValueKind::Nil => {}
            kind => {
                into.insert(key, Given::Text(kind.to_string()));
            }
        }
    }
}

/// Tables, or else texts, which what is no text is shown as.
fn array(values: &[Value]) -> Given {
    let tables = values.iter().map(|value| match &value.kind {
        ValueKind::Table(tree) => Some(flat(tree.clone())),
        _ => None,
    });
    match tables.collect::<Option<Vec<_>>>() {
        Some(tables) if !tables.is_empty() => Given::Tables(tables),
        _ => Given::List(values.iter().map(|value| value.kind.to_string()).collect()),
    }
}

/// TOML's errors show the line they complain of, which may hold a secret.
fn without_source(error: &str) -> String {
    let lines = error.lines().filter(|line| !line.contains('|'));
    lines.collect::<Vec<_>>().join(" ")
}
