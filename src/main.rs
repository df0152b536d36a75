//! The program: see [`gatelodge::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    gatelodge::cli::run()
}
