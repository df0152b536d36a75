//! Looks up one key after the other, keeps every mistake, and in the end knows
//! which keys nobody asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use config::{Config, Environment, File, FileFormat, Map, Source as _, Value, ValueKind};

use super::DEFAULT_FILE;

const PREFIX: &str = "GATELODGE";

/// A key that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub key: &'static str,
    /// What it is if nothing sets it.
    pub default: Option<&'static str>,
    /// What it is for.
    pub about: &'static str,
    pub form: Form,
}

/// How a key is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Value,
    List,
    /// As it is, or by the path of a file that holds it.
    Secret,
    SecretList,
    /// In the file only.
    Tables,
}

impl Known {
    #[must_use]
    pub fn variable(&self) -> String {
        match self.key {
            "database.url" => "DATABASE_URL".to_owned(),
            "redis.url" => "REDIS_URL".to_owned(),
            key => format!("{PREFIX}_{}", key.to_uppercase().replace('.', "__")),
        }
    }
}

/// Everything that is wrong with a configuration, a line each.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    pub(super) fn one(key: &str, what: &str) -> Self {
        Self(vec![format!("{key} {what}")])
    }

    pub fn each(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// For a log.
    #[must_use]
    pub fn on_one_line(&self) -> String {
        self.0.join("; ")
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration has mistakes:")?;
        for mistake in &self.0 {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}

/// Where a configuration comes from.
#[derive(Clone, Default)]
pub(super) struct Source {
    file: Option<PathBuf>,
    environment: Map<String, String>,
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
        for (plain, name) in [
            ("DATABASE_URL", "GATELODGE_DATABASE__URL"),
            ("REDIS_URL", "GATELODGE_REDIS__URL"),
        ] {
            if let Some(value) = environment.get(plain) {
                ours.entry(name.to_owned()).or_insert_with(|| value.clone());
            }
        }
        let default = Path::new(DEFAULT_FILE);
        let file = file.or_else(|| default.exists().then_some(default));
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
}

#[derive(Default)]
pub(super) struct Reader {
    source: Source,
    given: BTreeMap<String, Given>,
    known: Vec<Known>,
    mistakes: Mistakes,
}

/// Whether a value may come back in a message.
#[derive(Clone, Copy)]
enum Visibility {
    Shown,
    Secret,
}

enum Given {
    Text(String),
    List(Vec<String>),
    Tables(Vec<Map<String, Value>>),
}

impl Reader {
    pub(super) fn open(source: Source) -> Result<Self, Mistakes> {
        let file = source.file.as_deref();
        let file = file.map(|path| File::from(path).format(FileFormat::Toml));
        let environment = Environment::with_prefix(PREFIX)
            .prefix_separator("_")
            .separator("__")
            .source(Some(source.environment.clone()));
        let layers = Config::builder()
            .add_source(Vec::from_iter(file))
            .add_source(environment)
            .build();
        let tree = layers
            .and_then(|layers| layers.collect())
            .map_err(|error| Mistakes(vec![without_source(&error.to_string())]))?;
        let mut reader = Self {
            source,
            ..Self::default()
        };
        reader.flatten("", tree);
        Ok(reader)
    }

    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    /// Passes over what belongs to other sections.
    pub(super) fn keep_section(&mut self, section: &str) {
        let belongs = |key: &str| key.split('.').next() == Some(section);
        self.given.retain(|key, _| belongs(key));
    }

    fn flatten(&mut self, prefix: &str, table: Map<String, Value>) {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}.{name}")
            };
            match value.kind {
                ValueKind::Table(table) => self.flatten(&key, table),
                ValueKind::Array(values) => {
                    self.given.insert(key, given_array(&values));
                }
                ValueKind::Nil => {}
                kind => {
                    self.given.insert(key, Given::Text(kind.to_string()));
                }
            }
        }
    }

    pub(super) fn mistake(&mut self, key: &str, what: &str) {
        self.mistakes.0.push(format!("{key} {what}"));
    }

    pub(super) fn finish(mut self) -> Result<(), Mistakes> {
        for key in self.given.keys() {
            self.mistakes.0.push(format!("{key} is not a key"));
        }
        if self.mistakes.0.is_empty() {
            Ok(())
        } else {
            Err(self.mistakes)
        }
    }

    pub(super) fn into_known(self) -> Vec<Known> {
        self.known
    }

    fn know(
        &mut self,
        key: &'static str,
        default: Option<&'static str>,
        about: &'static str,
        form: Form,
    ) {
        self.known.push(Known {
            key,
            default,
            about,
            form,
        });
    }

    /// A value that has a default.
    #[expect(clippy::expect_used, reason = "every default is read by a test")]
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        default: &'static str,
        about: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> T {
        self.know(key, Some(default), about, Form::Value);
        let given = self.text(key);
        given
            .and_then(|text| self.parsed(key, &text, Visibility::Shown, parse))
            .unwrap_or_else(|| parse(default).expect("a default is valid"))
    }

    /// A value that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        about: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.know(key, None, about, Form::Value);
        let text = self.text(key)?;
        self.parsed(key, &text, Visibility::Shown, parse)
    }

    /// A list, empty if left out: an array in the file, commas in a variable.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        about: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        self.know(key, None, about, Form::List);
        let items = self.items(key);
        items
            .iter()
            .filter_map(|item| self.parsed(key, item, Visibility::Shown, parse))
            .collect()
    }

    /// Tables of one kind, which only a file can have. Each is read like a
    /// configuration of its own; `read` gives `None` for one with mistakes.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        about: &'static str,
        read: fn(&mut Self) -> Option<T>,
    ) -> Vec<T> {
        self.know(key, None, about, Form::Tables);
        let tables = match self.given.remove(key) {
            Some(Given::Tables(tables)) => tables,
            Some(Given::Text(_) | Given::List(_)) => {
                self.mistake(key, &format!("is no table; it takes [[{key}]] in the file"));
                Vec::new()
            }
            None => Vec::new(),
        };
        let mut items = Vec::new();
        for (table, number) in tables.into_iter().zip(1..) {
            let mut reader = Self::default();
            reader.flatten("", table);
            reader.refuse_empty();
            items.extend(read(&mut reader));
            if let Err(Mistakes(mistakes)) = reader.finish() {
                for mistake in mistakes {
                    self.mistake(key, &format!("{number}: {mistake}"));
                }
            }
        }
        items
    }

    /// A secret, given as it is or by the path of a file that holds it; never shown.
    pub(super) fn secret<T>(
        &mut self,
        key: &'static str,
        default: Option<&'static str>,
        about: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.know(key, default, about, Form::Secret);
        let text = self
            .secret_text(key)
            .or_else(|| default.map(str::to_owned))?;
        self.parsed(key, &text, Visibility::Secret, parse)
    }

    /// A list of secrets, like [`Reader::secret`].
    pub(super) fn secret_list<T>(
        &mut self,
        key: &'static str,
        about: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        self.know(key, None, about, Form::SecretList);
        let items = match self.secret_file(key) {
            Some(text) => {
                let items = split(&text);
                if items.is_empty() {
                    self.mistake(&format!("{key}_file"), "is an empty file");
                }
                items
            }
            None => self.items(key),
        };
        items
            .iter()
            .filter_map(|item| self.parsed(key, item, Visibility::Secret, parse))
            .collect()
    }

    /// A value of a table that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.given.contains_key(key) {
            return self.optional(key, "", parse);
        }
        let right = parse("").err().unwrap_or_default();
        self.mistake(key, &format!("is missing; it takes {right}"));
        None
    }

    /// In a table, what is empty is not left out: it may have been meant to be less.
    fn refuse_empty(&mut self) {
        let is_empty = |given: &Given| match given {
            Given::Text(text) => text.is_empty(),
            Given::List(items) => items.is_empty(),
            Given::Tables(_) => false,
        };
        let empty = self.given.iter().filter(|(_, given)| is_empty(given));
        let keys: Vec<String> = empty.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.mistake(&key, "is empty; leave it out if any will do");
        }
    }

    fn secret_text(&mut self, key: &str) -> Option<String> {
        self.secret_file(key).or_else(|| self.text(key))
    }

    fn secret_file(&mut self, key: &str) -> Option<String> {
        let path = self.text(&format!("{key}_file"))?;
        if self.given.remove(key).is_some() {
            self.mistake(key, &format!("and {key}_file are both set; leave one out"));
        }
        read_file(Path::new(&path))
            .map(|text| text.trim().to_owned())
            .map_err(|error| self.mistake(&format!("{key}_file"), &format!("is {path:?}: {error}")))
            .ok()
    }

    /// Whether a value, or the file that a secret is to be read from, is given.
    pub(super) fn is_given(&self, key: &str) -> bool {
        let is_empty = |given: &Given| matches!(given, Given::Text(text) if text.is_empty());
        let given = self.given.get(key).is_some_and(|given| !is_empty(given));
        given || self.file_of(key).is_some()
    }

    /// The file that a secret is to be read from, if it is to be.
    pub(super) fn file_of(&self, key: &str) -> Option<PathBuf> {
        match self.given.get(&format!("{key}_file"))? {
            Given::Text(path) if !path.is_empty() => Some(path.into()),
            Given::Text(_) | Given::List(_) | Given::Tables(_) => None,
        }
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.given.remove(key)? {
            Given::Text(text) if text.is_empty() => None,
            Given::Text(text) => Some(text),
            Given::List(_) | Given::Tables(_) => {
                self.mistake(key, "is a list; it takes one value");
                None
            }
        }
    }

    fn items(&mut self, key: &str) -> Vec<String> {
        match self.given.remove(key) {
            Some(Given::Text(text)) => split(&text),
            Some(Given::List(items)) => items,
            Some(Given::Tables(_)) => {
                self.mistake(key, "is a table; it takes a list of values");
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn parsed<T>(
        &mut self,
        key: &str,
        text: &str,
        visibility: Visibility,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(text)
            .map_err(|right| {
                let wrong = match visibility {
                    Visibility::Shown => format!("is {text:?}"),
                    Visibility::Secret => "is not usable".to_owned(),
                };
                self.mistake(key, &format!("{wrong}; it takes {right}"));
            })
            .ok()
    }
}

/// Tables, or else texts, which what is no text is shown as.
fn given_array(values: &[Value]) -> Given {
    let tables = values.iter().map(|value| match &value.kind {
        ValueKind::Table(table) => Some(table.clone()),
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

fn split(text: &str) -> Vec<String> {
    text.split([',', '\n'])
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The parser's own words would show what is in the file.
pub(super) const NOT_PEM: &str =
    "it is not PEM: -----BEGIN and -----END stand on lines of their own";

/// A file that is one, and no longer than any secret: whoever waits for a pipe, or reads a
/// device, does not come to an end.
pub(super) fn read_file(path: &Path) -> io::Result<String> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() || about.len() > LONGEST_FILE {
        let wrong = "is no file, or longer than 64 KiB";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, wrong));
    }
    std::fs::read_to_string(path)
}

/// In bytes: room for hundreds of keys.
const LONGEST_FILE: u64 = 64 * 1024;

/// Ten years: more is a mistake.
const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// `250ms`, `30s`, `15m`, `24h` or `30d`.
///
/// # Errors
/// Says what a duration looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration such as 250ms, 30s, 15m, 24h or 30d".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let duration = number.checked_mul(millis).map(Duration::from_millis);
    duration
        .filter(|duration| !duration.is_zero() && *duration <= LONGEST)
        .ok_or_else(wrong)
}

/// A duration that may be none.
pub(super) fn duration_or_none(text: &str) -> Result<Duration, String> {
    if text == "0s" {
        Ok(Duration::ZERO)
    } else {
        duration(text).map_err(|right| format!("{right}, or 0s"))
    }
}

/// A whole number of at least one.
pub(super) fn count<T: FromStr + From<u8> + PartialOrd>(text: &str) -> Result<T, String> {
    text.parse()
        .ok()
        .filter(|number| *number >= T::from(1))
        .ok_or_else(|| "a whole number, 1 or more".to_owned())
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "true or false".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("30d"), Ok(Duration::from_hours(720)));
        for text in [
            "",
            "30",
            "m",
            "1.5h",
            "-1s",
            "0s",
            "99999999999999999999d",
            "3651d",
            "30 m",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
