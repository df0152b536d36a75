//! An answer of `GET /metrics`, read strictly (Prometheus' text format, 0.0.4).

use std::collections::{BTreeMap, BTreeSet};

use gatelodge::telemetry::metrics::{self, Kind, Metric};

/// The samples, by their series as they are written.
pub struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Panics at whatever is not as the format, and the table of metrics, have it.
    pub fn parse(page: &str) -> Self {
        assert!(page.ends_with('\n'));
        let mut samples = BTreeMap::new();
        let mut lines = page.lines().peekable();
        for metric in metrics::ALL {
            let (name, kind) = (metric.name(), metric.kind().as_str());
            let help = format!("# HELP {name} {}", metric.help());
            assert_eq!(lines.next(), Some(help.as_str()));
            let kind = format!("# TYPE {name} {kind}");
            assert_eq!(lines.next(), Some(kind.as_str()));
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (series, value) = line.rsplit_once(' ').expect(line);
                check_series(*metric, series);
                let before = samples.insert(series.to_owned(), value.parse().expect(line));
                assert!(before.is_none(), "{series} is there twice");
            }
        }
        assert_eq!(lines.next(), None, "what is not in the table");
        let scrape = Self(samples);
        scrape.check_histograms();
        scrape
    }

    pub fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// Metrics of which there is no sample.
    pub fn missing(&self) -> BTreeSet<&'static str> {
        let is_there = |metric: &dyn Metric| {
            let suffix = match metric.kind() {
                Kind::Histogram => "_count",
                Kind::Counter | Kind::Gauge => "",
            };
            let name = format!("{}{suffix}", metric.name());
            let mut series = self.0.keys();
            series.any(|series| series.split('{').next() == Some(&name))
        };
        let missing = metrics::ALL.iter().filter(|metric| !is_there(**metric));
        missing.map(|metric| metric.name()).collect()
    }

    fn check_histograms(&self) {
        let mut last: Option<(String, f64)> = None;
        let mut buckets: Vec<(String, f64, f64)> = Vec::new();
        for (series, value) in &self.0 {
            let Some((rest, bound)) = series.split_once("le=\"") else {
                continue;
            };
            let bound = bound.trim_end_matches("\"}");
            let bound = if bound == "+Inf" {
                f64::INFINITY
            } else {
                bound.parse().unwrap()
            };
            buckets.push((rest.to_owned(), bound, *value));
        }
        buckets.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for (of, bound, value) in buckets {
            if let Some((of_last, last)) = &last
                && *of_last == of
            {
                assert!(*last <= value, "{of}: buckets add up");
            }
            if bound.is_infinite() {
                let count = of.replacen("_bucket{", "_count{", 1);
                let count = count.trim_end_matches([',', '{']);
                let closed = if count.contains('{') { "}" } else { "" };
                assert_eq!(self.get(&format!("{count}{closed}")), Some(value), "{of}");
            }
            last = Some((of, value));
        }
    }
}

/// That the series is one of the metric's: its name, and its labels with their values.
fn check_series(metric: &dyn Metric, series: &str) {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let suffix = name.strip_prefix(metric.name()).expect(series);
    let is_known = match metric.kind() {
        Kind::Histogram => ["_bucket", "_sum", "_count"].contains(&suffix),
        Kind::Counter | Kind::Gauge => suffix.is_empty(),
    };
    assert!(is_known, "{series}");
    let labels = labels.strip_suffix('}').expect(series);
    let mut expected = metric.labels();
    if suffix == "_bucket" {
        expected.push(("le", String::new()));
    }
    let labels: Vec<_> = labels.split_terminator("\",").collect();
    assert_eq!(labels.len(), expected.len(), "{series}");
    for (label, (name, values)) in labels.iter().zip(expected) {
        let (found, value) = label.split_once("=\"").expect(series);
        assert_eq!(found, name, "{series}");
        let value = value.trim_end_matches('"');
        let is_listed = values.contains(&format!("`{value}`"));
        assert!(is_listed || name == "route" || name == "le", "{series}");
        assert!(!value.contains(['"', '\\', '\n']), "{series}");
    }
}
