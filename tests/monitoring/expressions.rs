//! Expressions of `PromQL`, as far as they name metrics, labels and their values.

use std::collections::BTreeSet;

use gatelodge::telemetry::metrics::{self, Kind, Metric};

/// What Prometheus adds to each series, and buckets have.
const ADDED: [&str; 3] = ["job", "instance", "le"];

#[derive(Debug, PartialEq)]
enum Token<'a> {
    Name(&'a str),
    Text(&'a str),
    Sign(char),
}

fn tokens(expression: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let length = if first == '"' {
            let length = rest[1..].find('"').expect("a closing quote") + 2;
            tokens.push(Token::Text(&rest[1..length - 1]));
            length
        } else if is_of_name(first) {
            let length = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
            tokens.push(Token::Name(&rest[..length]));
            length
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Sign(first));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

fn metric_of(name: &str) -> Option<&'static dyn Metric> {
    metrics::ALL.iter().copied().find(|metric| {
        let suffix = name.strip_prefix(metric.name());
        suffix.is_some_and(|suffix| match metric.kind() {
            Kind::Histogram => ["_bucket", "_sum", "_count"].contains(&suffix),
            Kind::Counter | Kind::Gauge => suffix.is_empty(),
        })
    })
}

/// The labels that series in an expression can have; panics if it names a metric, a label
/// or a value that there is not.
pub fn labels_in(expression: &str) -> BTreeSet<&'static str> {
    let mut known = BTreeSet::from(ADDED);
    let tokens = tokens(expression);
    let mut metric = None;
    let mut grouped = Vec::new();
    for (position, token) in tokens.iter().enumerate() {
        let Token::Name(name) = token else { continue };
        let next = tokens.get(position + 1);
        if name.starts_with("gatelodge_") || name.starts_with("process_") {
            let found = metric_of(name);
            assert!(found.is_some(), "no metric {name}: {expression}");
            metric = found;
            known.extend(
                found
                    .iter()
                    .flat_map(|found| found.labels())
                    .map(|(name, _)| name),
            );
        } else if *name == "up" {
            metric = None;
        } else if ["by", "on", "group_left", "group_right"].contains(name) {
            let names = tokens[position + 2..].iter();
            let names = names.take_while(|token| **token != Token::Sign(')'));
            grouped.extend(names.filter_map(|token| match token {
                Token::Name(name) => Some(*name),
                _ => None,
            }));
        } else if matches!(next, Some(Token::Sign('=' | '!'))) {
            let value = tokens[position..].iter().find_map(|token| match token {
                Token::Text(text) => Some(*text),
                _ => None,
            });
            check_matcher(metric, name, value.expect("a value"), expression);
        }
    }
    for name in grouped {
        assert!(known.contains(name), "no label {name}: {expression}");
    }
    known
}

fn check_matcher(metric: Option<&dyn Metric>, name: &str, value: &str, expression: &str) {
    if ADDED.contains(&name) {
        return;
    }
    let labels = metric.expect(expression).labels();
    let label = labels.iter().find(|(label, _)| *label == name);
    let (_, values) = label.unwrap_or_else(|| panic!("no label {name}: {expression}"));
    if name != "route" {
        for value in value.split('|') {
            assert!(
                values.contains(&format!("`{value}`")),
                "{value}: {expression}"
            );
        }
    }
}

#[test]
fn what_is_named_must_be_there() {
    let right =
        "sum by (source) (rate(gatelodge_checks_total{job=\"a\",outcome=~\"alive|ended\"}[1m]))";
    assert!(labels_in(right).contains("outcome"));
    for wrong in [
        "gatelodge_chekcs_total",
        "gatelodge_checks_total{sauce=\"cache\"}",
        "gatelodge_checks_total{source=\"cash\"}",
        "sum by (sauce) (gatelodge_checks_total)",
        "gatelodge_checks_total_bucket",
        "gatelodge_revocation_delay_seconds",
    ] {
        let accepted = std::panic::catch_unwind(|| labels_in(wrong));
        assert!(accepted.is_err(), "{wrong}");
    }
}
