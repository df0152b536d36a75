//! What commands there are, as a page of the documentation.

use std::fmt::Write as _;

use clap::{Arg, Command};

const BEGIN: &str = "\
# Commands

Made by `gatelodge config commands` from what `gatelodge help` shows.

";

/// In Markdown.
pub(super) fn page(mut program: Command) -> String {
    program.build();
    let mut page = BEGIN.to_owned();
    add_text(&mut page, &program);
    if let Some(after) = program.get_after_help() {
        let _ = writeln!(page, "{after}\n");
    }
    let global: Vec<_> = program
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .collect();
    page += "Every command takes these:\n\n";
    add_arguments(&mut page, &global);
    for command in program.get_subcommands() {
        add(&mut page, command, "gatelodge");
    }
    page
}

fn add(page: &mut String, command: &Command, parent: &str) {
    let name = format!("{parent} {}", command.get_name());
    if command.get_name() == "help" {
        return;
    }
    if command.has_subcommands() {
        for command in command.get_subcommands() {
            add(page, command, &name);
        }
        return;
    }
    let _ = writeln!(page, "\n## {name}\n");
    add_text(page, command);
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let _ = writeln!(page, "```text\n{usage}\n```");
    let own = |arg: &&Arg| !arg.is_global_set() && arg.get_id() != "help";
    let arguments: Vec<_> = command.get_arguments().filter(own).collect();
    if !arguments.is_empty() {
        page.push('\n');
        add_arguments(page, &arguments);
    }
}

fn add_text(page: &mut String, command: &Command) {
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        for paragraph in paragraphs(&about.to_string()) {
            let _ = writeln!(page, "{paragraph}\n");
        }
    }
}

/// Each with a full stop, which help has none of after its first line.
fn paragraphs(text: &str) -> Vec<String> {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.is_empty());
    paragraphs
        .map(|paragraph| {
            let words: Vec<_> = paragraph.split_whitespace().collect();
            format!("{}.", words.join(" ").trim_end_matches('.'))
        })
        .collect()
}

fn add_arguments(page: &mut String, arguments: &[&Arg]) {
    *page += "| argument | |\n|---|---|\n";
    for argument in arguments {
        let text = argument.get_long_help().or_else(|| argument.get_help());
        let text = text.map(ToString::to_string).unwrap_or_default();
        let text = paragraphs(&text).join(" ");
        let defaults = argument.get_default_values();
        let defaults: Vec<_> = defaults
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        let default = if defaults.is_empty() || !argument.get_action().takes_values() {
            String::new()
        } else {
            format!(" [default: {}]", defaults.join(" "))
        };
        let _ = writeln!(
            page,
            "| `{}` | {}{default} |",
            shown(argument),
            escaped(&text)
        );
    }
}

fn shown(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let choices: Vec<_> = argument
        .get_possible_values()
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    let value = if !argument.get_action().takes_values() {
        String::new()
    } else if choices.is_empty() {
        format!("<{}>", names.join(" "))
    } else {
        // In a table, a plain one would end the cell.
        format!("<{}>", choices.join("\\|"))
    };
    match argument.get_long() {
        Some(long) => format!("--{long} {value}").trim_end().to_owned(),
        None => value,
    }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}
