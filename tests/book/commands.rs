//! Whoever types what a page shows, in order, sees what it says.

use std::path::Path;

use crate::page::{self, Block, Kind, Page};
use crate::shell::Shell;
use crate::support::app::TestDatabase;
use crate::support::servers::REDIS;

/// The servers of `docker compose up postgres redis`, as pages name them.
const DATABASE: &str = "postgres://gatelodge:gatelodge@localhost:5432/gatelodge";
const HOT_STORE: &str = "redis://localhost:6379";

/// A configuration is looked at by itself, without what the page's shell has set.
const CHECK: &str = "env --unset=GATELODGE_SERVER__PUBLIC_URL gatelodge config check";
const SETTINGS: &str = "settings.toml";

/// What stands for any part of a line, and on a line of its own for any lines.
const ANYTHING: char = '…';

/// The pages whose commands are typed. No other's: they could be those of somebody who sets
/// up a machine.
const TYPED: [&str; 9] = [
    "README.md",
    "SECURITY.md",
    "docs/api.md",
    "docs/backup.md",
    "docs/moving-users.md",
    "docs/recipe-react.md",
    "docs/rotating-keys.md",
    "docs/tokens.md",
    "docs/tutorial.md",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_does_what_its_page_shows() {
    let pages: Vec<_> = page::all().iter().map(|path| Page::read(path)).collect();
    let is_typed = |page: &Page| TYPED.iter().any(|typed| page.path == Path::new(typed));
    let commands = |page: &Page| {
        let typed = page.blocks.iter().filter(|block| block.kind.is_typed());
        let named = typed.map(|block| format!("{}:{}", page.path.display(), block.line));
        named.collect::<Vec<_>>()
    };
    let others = pages.iter().filter(|page| !is_typed(page));
    let others: Vec<_> = others.flat_map(commands).collect();
    assert!(
        others.is_empty(),
        "commands to type; name their pages in TYPED, or say sh,not-run: {others:#?}"
    );
    let typed: Vec<_> = pages
        .into_iter()
        .map(|page| tokio::spawn(type_all(page)))
        .collect();
    let mut mistakes = Vec::new();
    for page in typed {
        mistakes.extend(page.await.expect("a page").err());
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n\n"));
}

/// Types the commands of a page, or says which of them does something else.
async fn type_all(page: Page) -> Result<(), String> {
    let database = if page
        .blocks
        .iter()
        .any(|block| block.text.contains(DATABASE))
    {
        Some(TestDatabase::create().await)
    } else {
        None
    };
    let servers = database
        .as_ref()
        .map(|database| [(DATABASE, &*database.url), (HOT_STORE, &*REDIS.url)]);
    let mut shell = Shell::open(servers.as_ref().map_or(&[], |both| both));
    if let Some(TestDatabase { name, .. }) = &database {
        shell.run(&format!("export GATELODGE_REDIS__KEY_PREFIX={name}"));
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

fn type_block(shell: &mut Shell, block: &Block) -> Result<(), String> {
    match &block.kind {
        Kind::File(name) => shell.write(name, &block.text),
        Kind::Script | Kind::Preparation => shell.succeed(&block.text)?,
        Kind::Settings => {
            shell.write(SETTINGS, &block.text);
            shell.succeed(&format!("{CHECK} --config {SETTINGS}"))?;
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
    let (said, status) = shell.run(command);
    if !is_like(shown, &said) {
        return Err(format!("{command}\nis to say\n{shown}\nand says\n{said}"));
    }
    if shown.is_empty() && status != 0 {
        return Err(format!("{command} ends with {status}"));
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
            Some(more) => command.extend(["\n", more]),
            None => said.extend([line, "\n"]),
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
