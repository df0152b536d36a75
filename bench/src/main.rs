//! What a session check costs, beside what else could be asked instead:
//!
//! ```sh
//! cargo run --release --manifest-path bench/Cargo.toml
//! cargo run --release --manifest-path bench/Cargo.toml check storm
//! ```
//!
//! Prints each figure beside the bar it is held to, writes `docs/benchmarks.md`, and
//! fails if a bar is not kept. Runs on Linux.

mod baselines;
mod fleet;
mod http;
mod load;
mod process;
mod report;
mod rounds;
mod sections;
mod stand;
mod support;

use std::process::ExitCode;

use anyhow::Result;

use sections::Section;

#[expect(clippy::print_stderr, reason = "says why it has failed")]
fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
fn run() -> Result<ExitCode> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    if let [serve, name, body_length] = words.as_slice()
        && serve == "serve"
    {
        baselines::serve(name, body_length.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let [hear, address, count, credential] = words.as_slice()
        && hear == "hear"
    {
        fleet::hear(address.parse()?, count.parse()?, credential)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut sections = words
        .iter()
        .map(|word| Section::parse(word))
        .collect::<Result<Vec<_>>>()?;
    if sections.is_empty() {
        sections = Section::USUAL.to_vec();
    }
    let mut code = ExitCode::SUCCESS;
    for section in sections {
        let results = section.run()?;
        println!("\n## {}\n\n{}", section.title(), results.tables());
        if !results.are_kept() {
            code = ExitCode::FAILURE;
        }
        report::keep(section, results)?;
    }
    Ok(code)
}
