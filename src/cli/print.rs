//! What commands say on standard output.

use std::io::{self, ErrorKind, Write as _};
use std::ops::ControlFlow;

use anyhow::Context as _;
use serde::Serialize;

/// Says something. That nobody listens any more is no failure.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut output = io::stdout();
    match writeln!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write to standard output"),
    }
}

/// Says each as one line of JSON; breaks off if nobody listens any more.
pub(super) fn print_lines(
    values: impl Iterator<Item = impl Serialize>,
) -> anyhow::Result<ControlFlow<()>> {
    let mut lines = String::new();
    for value in values {
        lines += &serde_json::to_string(&value)?;
        lines.push('\n');
    }
    let mut output = io::stdout();
    match output
        .write_all(lines.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        done => done
            .map(ControlFlow::Continue)
            .context("cannot write to standard output"),
    }
}

pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Rows under their heads, each column as wide as it needs to be.
pub(super) fn print_table<const N: usize>(
    heads: [&str; N],
    rows: &[[String; N]],
) -> anyhow::Result<()> {
    let mut widths = heads.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    print_row(&heads.map(str::to_owned), &widths)?;
    rows.iter().try_for_each(|row| print_row(row, &widths))
}

fn print_row<const N: usize>(row: &[String; N], widths: &[usize; N]) -> anyhow::Result<()> {
    let cells = row.iter().zip(widths);
    let padded = cells.map(|(cell, &width)| format!("{cell:width$}"));
    print(padded.collect::<Vec<_>>().join("  ").trim_end())
}
