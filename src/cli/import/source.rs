//! Reading rows, one after the other.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read};

use anyhow::{Context as _, bail, ensure};
use csv::{ByteRecord, StringRecord};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Format;
use super::row::{Column, Values};
use crate::accounts::ImportedUser;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Longer than any row can rightly be.
const LONGEST: u64 = 256 * 1024;

pub(super) struct Row {
    pub(super) line: u64,
    pub(super) values: Values,
    /// Or why there is none.
    pub(super) user: Result<Box<ImportedUser>, String>,
}

pub(super) enum Input {
    Csv {
        rows: csv::Reader<Bounded>,
        columns: Vec<Column>,
    },
    JsonLines {
        lines: BufReader<Bounded>,
        line: u64,
    },
}

/// Reads so much for one row at most: in a file with a quote that is never closed, all
/// the rest is one.
pub(super) struct Bounded {
    input: Box<dyn Read + Send>,
    read: u64,
    left: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(
                "a row is longer than 256 KiB: is there a quote that is never closed?",
            ));
        }
        let length = self.input.read(buffer)?;
        let count = u64::try_from(length).unwrap_or(u64::MAX);
        self.read += count;
        self.left = self.left.saturating_sub(count);
        Ok(length)
    }
}

impl Input {
    pub(super) fn open(input: Box<dyn Read + Send>, format: Format) -> anyhow::Result<Self> {
        let input = Bounded {
            input,
            read: 0,
            left: LONGEST,
        };
        match format {
            Format::Csv => {
                // Rows of another length are refused one by one.
                let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(input);
                let heads = rows.headers().context("cannot read the first line")?;
                let columns = heads
                    .iter()
                    .map(|name| Column::parse(name.trim(), "the first line does not name columns"));
                let columns: Result<Vec<_>, _> = columns.collect();
                let columns = columns.map_err(anyhow::Error::msg)?;
                if let Some(name) = given_twice(&columns) {
                    bail!("the first line names the columns, and {name} is given twice");
                }
                for required in [Column::Email, Column::Name] {
                    let name = required.as_str();
                    ensure!(
                        columns.contains(&required),
                        "the first line names the columns, and has no {name}"
                    );
                }
                Ok(Self::Csv { rows, columns })
            }
            Format::Jsonl => Ok(Self::JsonLines {
                lines: BufReader::new(input),
                line: 0,
            }),
        }
    }

    /// How much was read.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Csv { rows, .. } => rows.get_ref().read,
            Self::JsonLines { lines, .. } => lines.get_ref().read,
        }
    }

    fn next_row(&mut self) -> anyhow::Result<Option<Row>> {
        match self {
            Self::Csv { rows, columns } => {
                rows.get_mut().left = LONGEST;
                let mut record = ByteRecord::new();
                if !rows.read_byte_record(&mut record)? {
                    return Ok(None);
                }
                let line = record.position().map_or(0, csv::Position::line);
                let (values, wrong) = of_record(record, columns);
                Ok(Some(Row::of(line, values, wrong)))
            }
            Self::JsonLines { lines, line } => loop {
                lines.get_mut().left = LONGEST;
                let mut text = Vec::new();
                if lines.read_until(b'\n', &mut text)? == 0 {
                    return Ok(None);
                }
                *line += 1;
                let mut text = text.as_slice();
                if *line == 1 {
                    text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
                }
                if !text.trim_ascii().is_empty() {
                    let (values, wrong) = of_json(text);
                    return Ok(Some(Row::of(*line, values, wrong)));
                }
            },
        }
    }
}

impl Iterator for Input {
    type Item = anyhow::Result<Row>;

    fn next(&mut self) -> Option<anyhow::Result<Row>> {
        self.next_row().transpose()
    }
}

impl Row {
    fn of(line: u64, values: Values, wrong: Result<(), String>) -> Self {
        let user = wrong.and_then(|()| values.parse()).map(Box::new);
        Self { line, values, user }
    }
}

/// The values, and whether the row is right as far as can be seen without them.
fn of_record(record: ByteRecord, columns: &[Column]) -> (Values, Result<(), String>) {
    let mut values = Values::default();
    let Ok(record) = StringRecord::from_byte_record(record) else {
        return (values, Err("this is not UTF-8".to_owned()));
    };
    for (column, value) in columns.iter().zip(&record) {
        values.put(*column, value.to_owned());
    }
    let wrong = (record.len() != columns.len()).then(|| {
        let (has, should) = (record.len(), columns.len());
        format!("there are {has} values under {should} columns")
    });
    (values, wrong.map_or(Ok(()), Err))
}

fn of_json(text: &[u8]) -> (Values, Result<(), String>) {
    let (mut values, mut wrong) = (Values::default(), Ok(()));
    // The error itself may show what is there.
    let Ok(Members(members)) = serde_json::from_slice(text) else {
        return (values, Err("this is no JSON object".to_owned()));
    };
    let mut columns = Vec::with_capacity(members.len());
    for (name, value) in members {
        let column = Column::parse(&name, "a key is no column");
        columns.extend(column.as_ref().ok());
        match (column, value) {
            (Err(unknown), _) => wrong = Err(unknown),
            (Ok(_), Value::Null) | (Ok(Column::Line), _) => {}
            (Ok(column), Value::String(value)) => values.put(column, value),
            (Ok(column), _) => wrong = Err(format!("{} must be a text", column.as_str())),
        }
    }
    if let Some(name) = given_twice(&columns) {
        wrong = Err(format!("{name} is given twice"));
    }
    (values, wrong)
}

fn given_twice(columns: &[Column]) -> Option<&'static str> {
    let mut rest = columns;
    while let Some((column, others)) = rest.split_first() {
        if others.contains(column) {
            return Some(column.as_str());
        }
        rest = others;
    }
    None
}

/// Of an object, all there are: a map would keep one of two of a name.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        from.deserialize_map(Object)
    }
}
