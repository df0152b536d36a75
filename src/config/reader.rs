//! Looks up one key after the other, keeps every mistake, and in the end knows
//! which keys nobody asked for.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::source::{Given, PREFIX, Source, Table};
use super::values::read_file;

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

#[derive(Default)]
pub(super) struct Reader {
    source: Source,
    /// What nobody has asked for yet.
    given: Table,
    known: Vec<Known>,
    /// The keys that somebody has asked for and that were given.
    found: BTreeSet<String>,
    /// Those of them whose value is unknown, since it is none that they take.
    misread: BTreeSet<String>,
    mistakes: Mistakes,
    private_files: Vec<PathBuf>,
}

/// Whether a value may come back in a message.
#[derive(Clone, Copy)]
enum Visibility {
    Shown,
    Secret,
    /// The path of a file that holds one.
    SecretFile,
}

impl Visibility {
    /// What leads nowhere may be the secret itself, set where its file belongs.
    fn told(self, text: &str) -> String {
        match self {
            Self::Shown => format!("is {text:?}"),
            Self::SecretFile if Path::new(text).exists() => format!("is {text:?}"),
            Self::Secret | Self::SecretFile => "is not usable".to_owned(),
        }
    }
}

impl Reader {
    pub(super) fn open(source: Source) -> Result<Self, Mistakes> {
        let given = source.read().map_err(|error| Mistakes(vec![error]))?;
        Ok(Self {
            source,
            given,
            ..Self::default()
        })
    }

    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    /// Passes over what belongs to other sections.
    pub(super) fn keep_section(&mut self, section: &str) {
        let belongs = |key: &str| key.split('.').next() == Some(section);
        self.given.retain(|key, _| belongs(key));
    }

    pub(super) fn mistake(&mut self, key: &str, what: &str) {
        self.mistakes.0.push(format!("{key} {what}"));
    }

    /// A mistake that leaves open what the key is.
    fn misread(&mut self, key: &str, what: &str) {
        self.misread.insert(key.to_owned());
        self.mistake(key, what);
    }

    /// Whether it is known what these are, so that they can be held against each other.
    pub(super) fn knows(&self, keys: &[&str]) -> bool {
        !keys.iter().any(|key| self.misread.contains(*key))
    }

    /// Whether a key that was asked for was given, be it right or wrong.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.found.contains(key)
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

    /// The files that secrets were read from until now.
    pub(super) fn private_files(&self) -> Vec<PathBuf> {
        self.private_files.clone()
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
        self.optional_as(key, about, Visibility::Shown, parse)
    }

    /// The path of a file that holds secrets and may be left out, read by `parse`.
    pub(super) fn optional_file<T>(
        &mut self,
        key: &'static str,
        about: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.optional_as(key, about, Visibility::SecretFile, parse)
    }

    fn optional_as<T>(
        &mut self,
        key: &'static str,
        about: &'static str,
        visibility: Visibility,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.know(key, None, about, Form::Value);
        let text = self.text(key)?;
        if matches!(visibility, Visibility::SecretFile) {
            self.private_files.push(text.clone().into());
        }
        self.parsed(key, &text, visibility, parse)
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
    /// configuration of its own.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        about: &'static str,
        read: fn(&mut Self) -> T,
    ) -> Vec<T> {
        self.know(key, None, about, Form::Tables);
        let tables = match self.given.remove(key) {
            Some(Given::Tables(tables)) => tables,
            Some(Given::Text(_) | Given::List(_)) => {
                self.misread(key, &format!("is no table; it takes [[{key}]] in the file"));
                Vec::new()
            }
            None => Vec::new(),
        };
        let mut items = Vec::new();
        for (table, number) in tables.into_iter().zip(1..) {
            let mut reader = Self {
                given: table,
                ..Self::default()
            };
            let empty = reader.empty();
            items.push(read(&mut reader));
            reader.refuse(&empty);
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
        let (in_file, own) = (self.secret_file(key), self.text(key));
        let mut parsed = |text: String| self.parsed(key, &text, Visibility::Secret, parse);
        let (in_file, own) = (in_file.and_then(&mut parsed), own.and_then(&mut parsed));
        in_file.or(own).or_else(|| parse(default?).ok())
    }

    /// A list of secrets, like [`Reader::secret`].
    pub(super) fn secret_list<T>(
        &mut self,
        key: &'static str,
        about: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        self.know(key, None, about, Form::SecretList);
        let in_file = self.secret_file(key).map(|text| split(&text));
        if in_file.as_ref().is_some_and(Vec::is_empty) {
            self.misread_file(key, "is an empty file");
        }
        let own = self.items(key);
        let mut parsed = |items: Vec<String>| {
            let items = items.iter();
            let parsed = items.filter_map(|item| self.parsed(key, item, Visibility::Secret, parse));
            parsed.collect::<Vec<_>>()
        };
        let own = parsed(own);
        in_file.map_or(own, parsed)
    }

    /// A value of a table that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let given = self.optional(key, "", parse);
        if given.is_none() && self.knows(&[key]) {
            let right = parse("").err().unwrap_or_default();
            self.misread(key, &format!("is missing; it takes {right}"));
        }
        given
    }

    fn empty(&self) -> Vec<String> {
        let is_empty = |given: &Given| match given {
            Given::List(items) => items.is_empty(),
            Given::Text(_) | Given::Tables(_) => given.is_nothing(),
        };
        let empty = self.given.iter().filter(|(_, given)| is_empty(given));
        empty.map(|(key, _)| key.clone()).collect()
    }

    /// In a table, what is empty is not left out: it may have been meant to be less.
    fn refuse(&mut self, empty: &[String]) {
        for key in empty {
            if self.knows(&[key]) {
                self.misread(key, "is empty; leave it out if any will do");
            }
        }
    }

    fn secret_file(&mut self, key: &str) -> Option<String> {
        let path = self.text(&format!("{key}_file"))?;
        if self.given.get(key).is_some_and(|given| !given.is_nothing()) {
            self.misread(key, &format!("and {key}_file are both set; leave one out"));
        }
        self.found.insert(key.to_owned());
        self.private_files.push(path.clone().into());
        read_file(Path::new(&path))
            .map(|text| text.trim().to_owned())
            .map_err(|error| {
                let wrong = Visibility::SecretFile.told(&path);
                self.misread_file(key, &format!("{wrong}: {error}"));
            })
            .ok()
    }

    fn misread_file(&mut self, key: &str, what: &str) {
        self.misread.insert(key.to_owned());
        self.mistake(&format!("{key}_file"), what);
    }

    /// The file that a secret is to be read from, if it is to be.
    pub(super) fn file_of(&self, key: &str) -> Option<PathBuf> {
        match self.given.get(&format!("{key}_file"))? {
            Given::Text(path) if !path.is_empty() => Some(path.into()),
            Given::Text(_) | Given::List(_) | Given::Tables(_) => None,
        }
    }

    /// What is there; an empty text is nothing.
    fn take(&mut self, key: &str) -> Option<Given> {
        let given = self.given.remove(key)?;
        if given.is_nothing() {
            return None;
        }
        self.found.insert(key.to_owned());
        Some(given)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Given::Text(text) => Some(text),
            Given::List(_) | Given::Tables(_) => {
                self.misread(key, "is a list; it takes one value");
                None
            }
        }
    }

    fn items(&mut self, key: &str) -> Vec<String> {
        match self.take(key) {
            Some(Given::Text(text)) => split(&text),
            Some(Given::List(items)) => items,
            Some(Given::Tables(_)) => {
                self.misread(key, "is a table; it takes a list of values");
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
                let wrong = visibility.told(text);
                self.misread(key, &format!("{wrong}; it takes {right}"));
            })
            .ok()
    }
}

fn split(text: &str) -> Vec<String> {
    text.split([',', '\n'])
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}
