//! What was refused, and why.

use std::fmt;
use std::fs::{self, File};
use std::io::BufWriter;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value};

use super::Format;
use super::row::{Column, Values};

pub(super) struct Refused {
    pub(super) line: u64,
    /// Never has a hash in it.
    pub(super) reason: String,
    pub(super) values: Values,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl Refused {
    fn value(&self, column: Column) -> Option<String> {
        match column {
            Column::Line => Some(self.line.to_string()),
            Column::Reason => Some(self.reason.clone()),
            column => self.values.get(column).map(str::to_owned),
        }
    }
}

/// A file of what was refused, which can be mended and imported.
pub(super) enum Report {
    Csv(Box<csv::Writer<File>>),
    JsonLines(BufWriter<File>),
}

impl Report {
    /// A file that is there is left alone: it may be an earlier report, being mended.
    pub(super) fn create(path: &Path, format: Format) -> anyhow::Result<Self> {
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(match format {
            Format::Csv => {
                let mut report = csv::Writer::from_writer(file);
                report.write_record(Column::NAMES)?;
                Self::Csv(Box::new(report))
            }
            Format::Jsonl => Self::JsonLines(BufWriter::new(file)),
        })
    }

    pub(super) fn add(&mut self, refused: &Refused) -> anyhow::Result<()> {
        let values = Column::ALL
            .iter()
            .map(|column| (*column, refused.value(*column)));
        match self {
            Self::Csv(report) => {
                report.write_record(values.map(|(_, value)| value.unwrap_or_default()))?;
            }
            Self::JsonLines(report) => {
                let values = values.filter_map(|(column, value)| {
                    Some((column.as_str().to_owned(), Value::String(value?)))
                });
                let object: Map<String, Value> = values.collect();
                writeln!(report, "{}", Value::Object(object))?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Csv(mut report) => report.flush(),
            Self::JsonLines(mut report) => report.flush(),
        }
        .context("cannot write the report")
    }
}
