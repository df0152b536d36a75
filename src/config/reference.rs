//! What can be configured, for people to read: written from what is read.

use std::fmt::Write as _;

use super::Settings;
use super::reader::{Form, Known};

/// What most installations set.
const TOP: [&str; 10] = [
    "database.url",
    "redis.url",
    "server.public_url",
    "server.bind",
    "server.trusted_proxies",
    "secrets.keys",
    "session.idle_timeout",
    "session.lifetime",
    "registration.enabled",
    "log.level",
];

const ENV_INTRODUCTION: &str = "\
# Gatelodge reads these variables from the environment and from a file `.env`
# in the folder it is started in. A value after = is the default; a variable
# with none is unset by default. Secrets can be given by the path of a file
# instead: add _FILE to the variable's name (DATABASE_URL_FILE).
# Durations: 250ms, 30s, 15m, 24h, 30d. Lists: a,b,c.
";

const PAGE_INTRODUCTION: &str = "\
# Configuration

Defaults, then `gatelodge.toml` (or the file that `--config` names), then the
environment, with a file `.env` in the folder of the start below it. In the file,
`server.bind` is `bind` in the table `[server]`, and a list is an array; in a
variable, the items of a list have commas between them. Durations have a unit:
`250ms`, `30s`, `15m`, `24h`, `30d`. A secret can be given by the path of a file
that holds it: `secrets.keys_file`, or `GATELODGE_SECRETS__KEYS_FILE`; so can
`database.url` and `redis.url`, by `DATABASE_URL_FILE` and `REDIS_URL_FILE`.

A key that is not listed here is a mistake, as is a value that cannot be right.
`gatelodge config check` tells all mistakes at once.

This page is what `gatelodge config reference` prints.

| key | variable | default | |
|---|---|---|---|
";

/// The text of `.env.example`.
#[must_use]
pub fn env_example() -> String {
    let known = Settings::keys();
    let mut text = String::from(ENV_INTRODUCTION);
    text.push_str("\n# The ten that matter\n\n");
    for key in TOP {
        for known in known.iter().filter(|known| known.key == key) {
            push_variable(&mut text, known, "");
        }
    }
    text.push_str("\n# All others\n\n");
    let others = known.iter().filter(|known| !TOP.contains(&known.key));
    for known in others.filter(|known| known.form != Form::Tables) {
        push_variable(&mut text, known, "#");
    }
    text
}

fn push_variable(text: &mut String, known: &Known, commented: &str) {
    for line in wrapped(known.about, 77) {
        let _ = writeln!(text, "# {line}");
    }
    let default = known.default.unwrap_or_default();
    let _ = writeln!(text, "{commented}{}={default}", known.variable());
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The text of `docs/configuration.md`.
#[must_use]
pub fn reference_page() -> String {
    let mut text = String::from(PAGE_INTRODUCTION);
    for known in Settings::keys() {
        let default = match known.default {
            Some(default) => format!("`{default}`"),
            None => "–".to_owned(),
        };
        let (form, variable) = match known.form {
            Form::Value => ("", Some(known.variable())),
            Form::List => (" (a list)", Some(known.variable())),
            Form::Secret => (" (a secret)", Some(known.variable())),
            Form::SecretList => (" (a list of secrets)", Some(known.variable())),
            Form::Tables => (" (tables, in the file alone)", None),
        };
        let variable = variable.map_or_else(|| "–".to_owned(), |name| format!("`{name}`"));
        let _ = writeln!(
            text,
            "| `{}` | {variable} | {default} | {}{form} |",
            known.key, known.about,
        );
    }
    text
}
