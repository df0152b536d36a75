//! The kinds of metrics there are, and how each is written (Prometheus' text format,
//! version 0.0.4).

use std::fmt::Write as _;
use std::marker::PhantomData;
use std::time::Duration;

use super::cells::Cells;
use super::labels::Labels;

/// Up to how many seconds a duration is counted where: from a check that asks nobody to
/// the longest deadline there is.
const BOUNDS: [f64; 16] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0,
    5.0, 30.0,
];

/// Beside the bounds: what is longer than the last, and the sum, in nanoseconds.
const COLUMNS: usize = BOUNDS.len() + 2;
const SUM: usize = BOUNDS.len() + 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A row of the table.
pub trait Metric: Sync {
    fn name(&self) -> &'static str;
    fn kind(&self) -> Kind;
    fn help(&self) -> &'static str;
    /// Each label, with its values or what they are.
    fn labels(&self) -> Vec<(&'static str, String)>;
    /// The samples as they are now.
    fn write(&self, readings: &[Reading], page: &mut String);
}

macro_rules! row {
    ($self:ident => $kind:expr) => {
        fn name(&self) -> &'static str {
            self.name
        }

        fn kind(&self) -> Kind {
            let $self = self;
            $kind
        }

        fn help(&self) -> &'static str {
            self.help.trim()
        }

        fn labels(&self) -> Vec<(&'static str, String)> {
            L::describe()
        }
    };
}

/// What has happened how often.
pub struct Counters<L> {
    name: &'static str,
    help: &'static str,
    cells: Cells,
    labels: PhantomData<fn(L)>,
}

impl<L: Labels> Counters<L> {
    pub(super) const fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            cells: Cells::new(L::WIDTH),
            labels: PhantomData,
        }
    }

    /// It has happened once more.
    pub fn count(&self, labels: L) {
        self.cells.add(labels.position(), 1);
    }
}

impl<L: Labels> Metric for Counters<L> {
    row!(_row => Kind::Counter);

    fn write(&self, _: &[Reading], page: &mut String) {
        for position in 0..L::WIDTH {
            let count = self.cells.sum(position);
            if (L::IS_CLOSED || count != 0)
                && let Some(labels) = L::values(position)
            {
                sample(page, self.name, &labels, count);
            }
        }
    }
}

/// How long something has taken.
pub struct Durations<L> {
    name: &'static str,
    help: &'static str,
    cells: Cells,
    labels: PhantomData<fn(L)>,
}

impl<L: Labels> Durations<L> {
    pub(super) const fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            cells: Cells::new(L::WIDTH * COLUMNS),
            labels: PhantomData,
        }
    }

    /// It has taken so long once more.
    pub fn observe(&self, labels: L, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let row = labels.position() * COLUMNS;
        self.cells.add(row + bucket, 1);
        self.cells.add(row + SUM, nanos);
    }
}

impl<L: Labels> Metric for Durations<L> {
    row!(_row => Kind::Histogram);

    fn write(&self, _: &[Reading], page: &mut String) {
        let name = self.name;
        for position in 0..L::WIDTH {
            let row = position * COLUMNS;
            let counts: [u64; SUM] = std::array::from_fn(|column| self.cells.sum(row + column));
            let total: u64 = counts.iter().sum();
            if !L::IS_CLOSED && total == 0 {
                continue;
            }
            let Some(labels) = L::values(position) else {
                continue;
            };
            let bounds = BOUNDS.iter().map(f64::to_string);
            let mut below = 0;
            for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(counts) {
                below += count;
                let mut labels = labels.clone();
                labels.push(("le", &bound));
                sample(page, &format!("{name}_bucket"), &labels, below);
            }
            let sum = Duration::from_nanos(self.cells.sum(row + SUM));
            sample(page, &format!("{name}_sum"), &labels, sum.as_secs_f64());
            sample(page, &format!("{name}_count"), &labels, total);
        }
    }
}

/// What is read off when somebody asks, and kept nowhere.
pub struct Gauges<L> {
    name: &'static str,
    help: &'static str,
    labels: PhantomData<fn(L)>,
}

/// What a gauge shows now.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    name: &'static str,
    position: usize,
    value: f64,
}

impl<L: Labels> Gauges<L> {
    pub(super) const fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            labels: PhantomData,
        }
    }

    pub fn shows(&self, labels: L, value: impl Shown) -> Reading {
        Reading {
            name: self.name,
            position: labels.position(),
            value: value.shown(),
        }
    }
}

impl<L: Labels> Metric for Gauges<L> {
    row!(row => if row.name.ends_with("_total") { Kind::Counter } else { Kind::Gauge });

    fn write(&self, readings: &[Reading], page: &mut String) {
        for reading in readings.iter().filter(|reading| reading.name == self.name) {
            if let Some(labels) = L::values(reading.position) {
                sample(page, self.name, &labels, reading.value);
            }
        }
    }
}

/// What a gauge can show.
pub trait Shown {
    fn shown(self) -> f64;
}

impl Shown for f64 {
    fn shown(self) -> f64 {
        self
    }
}

impl Shown for bool {
    fn shown(self) -> f64 {
        f64::from(u8::from(self))
    }
}

impl Shown for Duration {
    fn shown(self) -> f64 {
        self.as_secs_f64()
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
impl Shown for u64 {
    fn shown(self) -> f64 {
        self as f64
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
impl Shown for usize {
    fn shown(self) -> f64 {
        self as f64
    }
}

fn sample(page: &mut String, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
    page.push_str(name);
    for (number, (label, text)) in labels.iter().enumerate() {
        let before = if number == 0 { '{' } else { ',' };
        let _ = write!(page, "{before}{label}=\"{text}\"");
    }
    let end = if labels.is_empty() { "" } else { "}" };
    let _ = writeln!(page, "{end} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_below_each_bound_that_it_does_not_pass() {
        static DURATIONS: Durations<()> = Durations::new("slept_seconds", "");
        for millis in [0, 1, 3, 250, 251, 60_000] {
            DURATIONS.observe((), Duration::from_millis(millis));
        }
        let mut page = String::new();
        DURATIONS.write(&[], &mut page);
        for line in [
            "slept_seconds_bucket{le=\"0.0001\"} 1",
            "slept_seconds_bucket{le=\"0.001\"} 2",
            "slept_seconds_bucket{le=\"0.0025\"} 2",
            "slept_seconds_bucket{le=\"0.25\"} 4",
            "slept_seconds_bucket{le=\"30\"} 5",
            "slept_seconds_bucket{le=\"+Inf\"} 6",
            "slept_seconds_sum 60.505",
            "slept_seconds_count 6",
        ] {
            assert!(page.lines().any(|one| one == line), "{line}\n{page}");
        }
    }
}
