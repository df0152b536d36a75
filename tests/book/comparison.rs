//! The comparison with JWTs: its tables are what the benchmark has kept, and nothing in its
//! text is a figure of its own.

use std::fs;

use serde_json::Value;

use crate::page::root;

const PAGE: &str = "docs/sessions-vs-jwt.md";

/// What is between the two comments that name a table, and what is around them.
fn parts<'a>(page: &'a str, name: &str) -> (&'a str, String) {
    let (before, rest) = page
        .split_once(&format!("<!-- {name} -->"))
        .expect("begins");
    let (table, after) = rest.split_once(&format!("<!-- /{name} -->")).expect("ends");
    (table, format!("{before}{after}"))
}

/// The cells of a table's rows, without its head.
fn rows(table: &str) -> Vec<Vec<String>> {
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    lines.map(cells).collect()
}

fn texts(of: &Value) -> Vec<String> {
    let texts = of.as_array().expect("a list").iter();
    texts
        .map(|text| text.as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn the_comparison_shows_what_was_measured_last_and_its_text_has_no_figures() {
    let read = |path| fs::read_to_string(root().join(path)).expect("a file");
    let (page, results) = (read(PAGE), read("bench/results/jwt.json"));
    let results: Value = serde_json::from_str(&results).expect("JSON");

    let (table, page) = parts(&page, "comparison");
    let compared = results["comparison"]["rows"].as_array().expect("rows");
    let compared = compared.iter().map(|row| {
        let mut cells = vec![row["what"].as_str().expect("a name").to_owned()];
        cells.extend(texts(&row["cells"]));
        cells
    });
    assert_eq!(rows(table), compared.collect::<Vec<_>>());

    let (table, text) = parts(&page, "figures");
    let measured = results["figures"].as_array().expect("figures").iter();
    let measured = measured.map(|figure| [&figure["what"], &figure["measured"]].map(Value::as_str));
    let shown = rows(table);
    let shown = shown
        .iter()
        .map(|cells| [0, 1].map(|at| Some(cells[at].as_str())));
    assert!(
        shown.eq(measured),
        "{PAGE} has other figures than the results"
    );

    for unit in ["µs", " ms", "bytes each", " ×", " %"] {
        assert!(
            !text.contains(unit),
            "{PAGE} has a figure in its text ({unit})"
        );
    }
}
