//! What somebody at a terminal sees.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::thread::JoinHandle;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::commands::Beside;
use crate::support::Stack::Embedded;
use crate::support::app::PASSWORD;

/// Runs a command at a terminal of its own, where somebody types that; gives its exit
/// status and what was on the screen.
fn at_a_terminal(mut command: Command, typed: &str) -> (Option<i32>, String) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let path = ptsname(&terminal, Vec::new()).unwrap();
    let open = || {
        let path = path.to_str().unwrap();
        File::options().read(true).write(true).open(path).unwrap()
    };
    let mut child = command
        .env("TERM", "xterm")
        .stdin(open())
        .stdout(open())
        .stderr(open())
        .spawn()
        .unwrap();
    // Which holds the terminal's other side.
    drop(command);
    let (screen, mut keyboard) = (terminal.try_clone().unwrap(), File::from(terminal));
    let seen = screen_of(screen);
    keyboard.write_all(typed.as_bytes()).unwrap();
    let status = child.wait().unwrap();
    (status.code(), seen.join().unwrap())
}

fn screen_of(terminal: OwnedFd) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
        let mut terminal = File::from(terminal);
        // An error when nobody has its other side open any more.
        while let Ok(length @ 1..) = terminal.read(&mut chunk) {
            seen.extend_from_slice(&chunk[..length]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_the_sessions_of_a_filter_at_a_terminal_is_asked() {
    let beside = Beside::a_service(Embedded).await;
    let mut ada = beside.app.registered("ada@example.com").await;
    let filter = ["sessions", "revoke", "--ip", "127.0.0.0/8"];
    for typed in ["n\n", "\n", "yess\n"] {
        let (status, screen) = at_a_terminal(beside.command(&filter), typed);
        assert!(
            screen.contains("End 1 session (ip=127.0.0.0/8)? [y/N]"),
            "{screen}"
        );
        assert!(screen.contains("ended nothing"), "{screen}");
        assert_eq!(status, Some(0));
        assert_eq!(ada.whoami().await.status, 200);
    }
    let (status, screen) = at_a_terminal(beside.command(&filter), "y\n");
    assert!(screen.contains("ended 1 session"), "{screen}");
    assert_eq!(status, Some(0));
    super::commands::is_refused_in_time(&mut ada).await;
    let _ada = beside.app.logged_in("ada@example.com").await;
    let unasked = [&filter[..], &["--yes"]].concat();
    let (_, screen) = at_a_terminal(beside.command(&unasked), "");
    assert!(
        screen.contains("ended 1 session") && !screen.contains("[y/N]"),
        "{screen}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_all_sessions_or_deletes_a_user_at_a_terminal_is_asked() {
    let beside = Beside::a_service(Embedded).await;
    let mut ada = beside.app.registered("ada@example.com").await;
    let everyone = &["sessions", "revoke", "--everyone"][..];
    let delete = &["users", "delete", "ada@example.com"][..];
    for (command, question, kept, done) in [
        (
            everyone,
            "End everyone's sessions? [y/N]",
            "ended nothing",
            "ended everyone's sessions",
        ),
        (
            delete,
            "and end their sessions? [y/N]",
            "deleted nobody",
            "is deleted",
        ),
    ] {
        let (status, screen) = at_a_terminal(beside.command(command), "n\n");
        assert!(
            screen.contains(question) && screen.contains(kept),
            "{screen}"
        );
        assert_eq!(status, Some(0));
        assert_eq!(ada.whoami().await.status, 200);
        let (_, screen) = at_a_terminal(beside.command(command), "y\n");
        assert!(screen.contains(done), "{screen}");
        super::commands::is_refused_in_time(&mut ada).await;
        ada = beside.app.browser();
        // The account outlives the first of them.
        ada.log_in("ada@example.com", PASSWORD).await;
    }
    let _bob = beside.app.registered("bob@example.com").await;
    let unasked = ["users", "delete", "bob@example.com", "--yes"];
    let (_, screen) = at_a_terminal(beside.command(&unasked), "");
    assert!(
        screen.contains("is deleted") && !screen.contains("[y/N]"),
        "{screen}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_a_bar_at_a_terminal_and_nothing_if_it_is_not_wanted() {
    let beside = Beside::a_service(Embedded).await;
    let row = |n| format!("user{n}@example.com,User {n}\n");
    let rows: String = (0..2000).map(row).collect();
    let file = beside.folder.path().join("users.csv");
    std::fs::write(file, format!("email,name\n{rows}")).unwrap();
    let import = ["users", "import", "users.csv"];
    let (_, screen) = at_a_terminal(beside.command(&import), "");
    assert!(screen.contains('█') && screen.contains('%'), "{screen}");
    assert!(screen.contains("created 2000, there already 0"), "{screen}");
    let quiet = [&import[..], &["--quiet"]].concat();
    let (_, screen) = at_a_terminal(beside.command(&quiet), "");
    assert!(!screen.contains('%'), "{screen}");
    assert!(screen.contains("created 0, there already 2000"), "{screen}");
}
