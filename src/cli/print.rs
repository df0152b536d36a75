//! What commands say on standard output.

use std::io::{self, Write as _};

use serde::Serialize;

/// Says something, if anybody still listens.
pub(super) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Rows under their heads, each column as wide as it needs to be.
pub(super) fn print_table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) {
    let mut widths = heads.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    print_row(&heads.map(str::to_owned), &widths);
    for row in rows {
        print_row(row, &widths);
    }
}

fn print_row<const N: usize>(row: &[String; N], widths: &[usize; N]) {
    let cells = row.iter().zip(widths);
    let padded = cells.map(|(cell, &width)| format!("{cell:width$}"));
    print(padded.collect::<Vec<_>>().join("  ").trim_end());
}
