//! Whoever types what a page shows, in order, sees what it says.

use std::path::Path;

use crate::page::{self, Kind, Page};
use crate::shell::Shell;
use crate::support::app::TestDatabase;
use crate::support::servers::REDIS;

/// The servers of `docker compose up postgres redis`, as pages name them.
const DATABASE: &str = "postgres://gatelodge:gatelodge@localhost:5432/gatelodge";
const HOT_STORE: &str = "redis://localhost:6379";

/// What stands for any part of a line, and on a line of its own for any lines.
const ANYTHING: char = '…';

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_does_what_its_page_shows() {
    let pages: Vec<_> = page::all().iter().map(|path| Page::read(path)).collect();
    let with_commands = pages.into_iter().filter(has_commands);
    let typed: Vec<_> = with_commands
        .map(|page| tokio::spawn(type_all(page)))
        .collect();
    assert!(typed.len() >= 4, "there are pages with commands");
    let mut mistakes = Vec::new();
    for page in typed {
        mistakes.extend(page.await.expect("a page").err());
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n\n"));
}

fn has_commands(page: &Page) -> bool {
    let mut kinds = page.blocks.iter().map(|block| &block.kind);
    kinds.any(|kind| matches!(kind, Kind::Script | Kind::Session))
}

/// Types the commands of a page, or says which of them does something else.
async fn type_all(page: Page) -> Result<(), String> {
    let names = |block: &page::Block| block.text.contains(DATABASE);
    let database = match page.blocks.iter().any(names) {
        true => Some(TestDatabase::create().await),
        false => None,
    };
    let servers = database
        .as_ref()
        .map(|database| [(DATABASE, &*database.url), (HOT_STORE, &*REDIS.url)]);
    let mut shell = Shell::open(servers.as_ref().map_or(&[], |both| both));
    if let Some(TestDatabase { name, .. }) = &database {
        shell.run(&format!("export GATELODGE_REDIS__KEY_PREFIX={name}"), true);
    }
    tokio::task::spawn_blocking(move || {
        for block in &page.blocks {
            type_block(&mut shell, block)
                .map_err(|mistake| format!("{}:{}: {mistake}", page.path.display(), block.line))?;
        }
        drop(database);
        Ok(())
    })
    .await
    .expect("it goes on")
}

fn type_block(shell: &mut Shell, block: &page::Block) -> Result<(), String> {
    match &block.kind {
        Kind::File(name) => shell.write(name, &block.text),
        Kind::Script | Kind::Preparation => {
            let said = shell.run(&block.text, true);
            if said.status != Some(0) {
                return Err(format!("this fails:\n{}\n{}", block.text, said.text));
            }
        }
        Kind::Session => {
            for (command, shown) in commands(&block.text) {
                type_command(shell, &command, &shown)?;
            }
        }
        Kind::NotRun | Kind::Text | Kind::Unknown(_) => {}
    }
    Ok(())
}

fn type_command(shell: &mut Shell, command: &str, shown: &str) -> Result<(), String> {
    let mut lines = shown.lines();
    if let Some((_, address)) = lines.find_map(|line| line.split_once(" listens on ")) {
        return shell.start(command, address, |said| is_like(shown, said));
    }
    let said = shell.run(command, false);
    if !is_like(shown, &said.text) {
        return Err(format!(
            "{command}\nis to say\n{shown}\nand says\n{}",
            said.text
        ));
    }
    if shown.is_empty() && said.status != Some(0) {
        return Err(format!("{command} ends with {:?}", said.status));
    }
    Ok(())
}

/// What stands after each `$`, with the lines after `>` that it goes on in, and what it
/// says.
fn commands(session: &str) -> Vec<(String, String)> {
    let mut commands = Vec::<(String, String)>::new();
    for line in session.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command.to_owned(), String::new()));
            continue;
        }
        let (command, said) = commands.last_mut().expect("a command is first");
        match line.strip_prefix("> ") {
            Some(more) => *command += &format!("\n{more}"),
            None => *said += &format!("{line}\n"),
        }
    }
    commands
}

fn is_like(shown: &str, said: &str) -> bool {
    let shown: Vec<_> = shown.trim_end().lines().collect();
    let said: Vec<_> = said.trim_end().lines().collect();
    are_like(&shown, &said)
}

fn are_like(shown: &[&str], said: &[&str]) -> bool {
    match shown {
        [] => said.is_empty(),
        [first, rest @ ..] if first.chars().eq([ANYTHING]) => {
            (0..=said.len()).any(|passed| are_like(rest, &said[passed..]))
        }
        [first, rest @ ..] => said
            .split_first()
            .is_some_and(|(line, others)| is_line_like(first, line) && are_like(rest, others)),
    }
}

fn is_line_like(shown: &str, said: &str) -> bool {
    match shown.split_once(ANYTHING) {
        None => shown == said,
        Some((before, after)) => said.strip_prefix(before).is_some_and(|rest| {
            let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.any(|at| is_line_like(after, &rest[at..]))
        }),
    }
}

#[test]
fn what_is_left_out_can_be_anything_and_the_rest_is_as_shown() {
    assert!(is_like("a … c\n…\nd", "a b c\nanything\nat all\nd\n"));
    assert!(is_like("…", ""));
    for (shown, said) in [
        ("a", "b"),
        ("a …", "b c"),
        ("a … c", "a b d"),
        ("a", "a\nb"),
        ("a\nb", "a"),
    ] {
        assert!(!is_like(shown, said), "{shown} is not {said}");
    }
}

#[test]
fn commands_go_on_after_their_first_line() {
    let session = "$ cat <<'END'\n> a\n> END\na\n$ true\n";
    let expected = [("cat <<'END'\na\nEND", "a\n"), ("true", "")];
    let expected = expected.map(|(command, said)| (command.to_owned(), said.to_owned()));
    assert_eq!(commands(session), expected);
}

#[test]
fn pages_are_read_as_they_are_written() {
    let page = Page::read(Path::new("README.md"));
    let first = &page.blocks[0];
    assert_eq!(
        (&first.kind, first.text.starts_with("$ cargo run")),
        (&Kind::Session, true)
    );
    assert!(page.links.contains(&"SECURITY.md".to_owned()));
}
