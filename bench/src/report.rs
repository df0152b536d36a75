//! Results: kept as JSON in `bench/results/`, shown as `docs/benchmarks.md` and
//! `docs/benchmarks.svg`.

mod chart;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use gatelodge::sessions::Clock;
use serde::{Deserialize, Serialize};

use crate::process;
use crate::sections::Section;
use crate::stand::root;

const ABOUT: &str = include_str!("report/about.md");

/// What one section has found.
#[derive(Default, Serialize, Deserialize)]
pub struct Results {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    pub costs: Vec<Cost>,
    pub figures: Vec<Figure>,
}

/// What is so of each of several, side by side.
#[derive(Serialize, Deserialize)]
pub struct Comparison {
    pub between: Vec<String>,
    pub rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
pub struct Row {
    pub what: String,
    /// In the order of those compared.
    pub cells: Vec<String>,
}

/// What a check costs, there.
#[derive(Serialize, Deserialize)]
pub struct Cost {
    pub name: String,
    pub is_ours: bool,
    /// Of the server's process, per check.
    pub cpu_us: f64,
    /// The same, in each round.
    pub cpu_us_by_round: Vec<f64>,
    pub per_second: f64,
    /// Of the whole answer.
    pub bytes: usize,
    /// How many times as much CPU time as something else, by its name.
    pub times: Vec<(String, f64)>,
}

/// Anything else that was measured, and the bar it is held to.
#[derive(Serialize, Deserialize)]
pub struct Figure {
    what: String,
    measured: String,
    bar: Option<Bar>,
}

#[derive(Serialize, Deserialize)]
struct Bar {
    limit: String,
    is_kept: bool,
}

impl Figure {
    pub fn plain(what: impl Into<String>, measured: String) -> Self {
        Self {
            what: what.into(),
            measured,
            bar: None,
        }
    }

    pub fn at_most(what: impl Into<String>, measured: f64, limit: f64, unit: &str) -> Self {
        let is_kept = measured <= limit;
        Self::with_bar(
            what,
            shown(measured, unit),
            format!("≤ {}", shown(limit, unit)),
            is_kept,
        )
    }

    pub fn at_least(what: impl Into<String>, measured: f64, limit: f64, unit: &str) -> Self {
        let is_kept = measured >= limit;
        Self::with_bar(
            what,
            shown(measured, unit),
            format!("≥ {}", shown(limit, unit)),
            is_kept,
        )
    }

    pub fn with_bar(
        what: impl Into<String>,
        measured: String,
        limit: String,
        is_kept: bool,
    ) -> Self {
        Self {
            what: what.into(),
            measured,
            bar: Some(Bar { limit, is_kept }),
        }
    }

    fn cells(&self) -> Vec<String> {
        let (limit, kept) = match &self.bar {
            Some(Bar {
                limit,
                is_kept: true,
            }) => (limit.as_str(), "kept"),
            Some(Bar {
                limit,
                is_kept: false,
            }) => (limit.as_str(), "**NOT KEPT**"),
            None => ("", ""),
        };
        [self.what.as_str(), self.measured.as_str(), limit, kept]
            .map(str::to_owned)
            .into()
    }
}

/// As long as it needs to be: 0.846 ×, 12.3 ×, 297 bytes.
pub fn shown(figure: f64, unit: &str) -> String {
    let number = match figure {
        0.0..10.0 => format!("{figure:.2}"),
        10.0..100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    };
    format!("{number}{unit}")
}

impl Results {
    pub fn are_kept(&self) -> bool {
        self.figures
            .iter()
            .all(|figure| figure.bar.as_ref().is_none_or(|bar| bar.is_kept))
    }

    /// The tables, in Markdown.
    pub fn tables(&self) -> String {
        let tables = [
            self.comparison.as_ref().map(Comparison::table),
            self.costs_table(),
            self.figures_table(),
        ];
        tables.into_iter().flatten().collect::<Vec<_>>().join("\n")
    }

    fn costs_table(&self) -> Option<String> {
        let first = self.costs.first()?;
        let mut heads = vec![
            String::new(),
            "CPU per check".to_owned(),
            "checks/s".to_owned(),
        ];
        heads.extend(first.times.iter().map(|(to, _)| format!("CPU, × {to}")));
        heads.push("bytes".to_owned());
        Some(table("--:", heads, self.costs.iter().map(Cost::cells)))
    }

    fn figures_table(&self) -> Option<String> {
        let heads = ["", "measured", "bar", ""].map(str::to_owned).into();
        let table = || table("--:", heads, self.figures.iter().map(Figure::cells));
        (!self.figures.is_empty()).then(table)
    }
}

impl Comparison {
    fn table(&self) -> String {
        let line = |first: &str, others: &[String]| {
            let mut cells = vec![first.to_owned()];
            cells.extend_from_slice(others);
            cells
        };
        let rows = self.rows.iter().map(|row| line(&row.what, &row.cells));
        table("---", line("", &self.between), rows)
    }
}

/// The first column to the left, the others as the rule below their heads says.
fn table(others: &str, heads: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|---|{}\n", format!("{others}|").repeat(heads.len() - 1));
    [line(heads), rule]
        .into_iter()
        .chain(rows.map(line))
        .collect()
}

impl Cost {
    fn cells(&self) -> Vec<String> {
        let name = if self.is_ours {
            format!("**{}**", self.name)
        } else {
            self.name.clone()
        };
        let mut cells = vec![
            name,
            format!("{:.1} µs", self.cpu_us),
            format!("{:.0}", self.per_second),
        ];
        cells.extend(self.times.iter().map(|(_, times)| format!("{times:.2}")));
        cells.push(self.bytes.to_string());
        cells
    }
}

/// Results with what they depend on.
#[derive(Serialize, Deserialize)]
struct Entry {
    date: String,
    processor: String,
    cores: usize,
    command: String,
    #[serde(flatten)]
    results: Results,
}

/// Writes what a section has found, and the page and the chart anew.
pub fn keep(section: Section, results: Results) -> Result<()> {
    let entry = Entry {
        date: today()?,
        processor: processor()?,
        cores: *process::COUNT,
        command: format!(
            "cargo run --release --manifest-path bench/Cargo.toml {}",
            section.name()
        ),
        results,
    };
    fs::create_dir_all(folder())?;
    fs::write(file(section), serde_json::to_string_pretty(&entry)? + "\n")?;
    let mut page = ABOUT.to_owned();
    for section in Section::ALL {
        let Ok(text) = fs::read_to_string(file(section)) else {
            continue;
        };
        let entry: Entry = serde_json::from_str(&text)?;
        let (title, about) = (section.title(), section.about());
        let (tables, how) = (entry.results.tables(), entry.made_how());
        let _ = write!(page, "\n## {title}\n\n{about}\n\n{tables}\n{how}");
        match section {
            Section::Check => {
                let footer = format!("{}, {} cores, {}", entry.processor, entry.cores, entry.date);
                let chart = chart::draw(&entry.results.costs, &footer);
                fs::write(root().join("docs/benchmarks.svg"), chart)?;
            }
            Section::Jwt => show_side_by_side(&entry)?,
            _ => {}
        }
    }
    Ok(fs::write(root().join("docs/benchmarks.md"), page)?)
}

/// Puts the tables where the page has those of the run before.
fn show_side_by_side(entry: &Entry) -> Result<()> {
    let path = root().join("docs/sessions-vs-jwt.md");
    let mut page = fs::read_to_string(&path)?;
    for (name, table) in [
        (
            "comparison",
            entry.results.comparison.as_ref().map(Comparison::table),
        ),
        ("figures", entry.results.figures_table()),
    ] {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
        let (before, rest) = page.split_once(&begin).context("where it begins")?;
        let (_, after) = rest.split_once(&end).context("where it ends")?;
        let table = table.with_context(|| format!("no {name}"))?;
        page = format!(
            "{before}{begin}\n{table}\n{}\n{end}{after}",
            entry.made_how()
        );
    }
    Ok(fs::write(path, page)?)
}

impl Entry {
    /// When and where it was measured, and how it is again.
    fn made_how(&self) -> String {
        let Self {
            date,
            processor,
            cores,
            command,
            ..
        } = self;
        format!("{date}, {processor}, {cores} cores: `{command}`\n")
    }
}

fn folder() -> PathBuf {
    root().join("bench/results")
}

fn file(section: Section) -> PathBuf {
    folder().join(format!("{}.json", section.name()))
}

fn today() -> Result<String> {
    let now = serde_json::to_value(Clock::new().now())?;
    let now = now.as_str().and_then(|text| text.get(..10));
    Ok(now.context("a date")?.to_owned())
}

fn processor() -> Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let model = text.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| line.split_once(": "));
    Ok(name.map_or_else(
        || "unknown processor".to_owned(),
        |(_, name)| name.to_owned(),
    ))
}
