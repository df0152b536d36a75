//! Passwords come from the terminal or from standard input, never from arguments,
//! which every user of a machine can read.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use anyhow::ensure;
use zeroize::Zeroizing;

use crate::domain::password::{NewPassword, Owner, PasswordHash, PasswordPolicy};

/// Longer than any password there can be.
const LONGEST_LINE: u64 = 64 * 1024;

/// Asked for twice on a terminal; elsewhere the first line of standard input.
pub(super) fn read_new(policy: &PasswordPolicy, owner: Owner<'_>) -> anyhow::Result<NewPassword> {
    let text = if io::stdin().is_terminal() {
        let ask = |prompt| rpassword::prompt_password(prompt).map(Zeroizing::new);
        let text = ask("Password: ")?;
        ensure!(ask("Password, again: ")? == text, "the two are not alike");
        text
    } else {
        let mut line = first_line()?;
        ensure!(
            !line.is_empty(),
            "no password: standard input takes one line (or use --invite)"
        );
        let text = line.strip_suffix('\n').unwrap_or(&line);
        let end = text.strip_suffix('\r').unwrap_or(text).len();
        line.truncate(end);
        line
    };
    NewPassword::parse(&text, policy, owner)
        .map_err(|error| anyhow::anyhow!("the password {error}"))
}

/// The first line of standard input, as another system has it in its database.
pub(super) fn read_hash() -> anyhow::Result<PasswordHash> {
    let line = first_line()?;
    ensure!(!line.is_empty(), "no hash: standard input takes one line");
    PasswordHash::import(line.trim()).map_err(|error| anyhow::anyhow!("the password hash {error}"))
}

fn first_line() -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    io::stdin().lock().take(LONGEST_LINE).read_line(&mut line)?;
    Ok(line)
}
