//! Keys are changed while the program runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use gatelodge::config::secret_key;
use gatelodge::startup::generate_key;

use super::{Program, command};
use crate::support::app::{PASSWORD, TestDatabase};
use crate::support::servers::OwnRedis;
use crate::support::{Browser, eventually, within};

/// Where the keys are.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The embedded instance's own file.
    Data,
    /// What `secrets.keys_file` names.
    File,
    /// `gatelodge.toml`.
    Configuration,
    /// A file behind links, as Kubernetes mounts a secret.
    Mount,
}

impl Place {
    fn write(self, folder: &Path, keys: &[&str]) {
        match self {
            Self::Data => {
                fs::create_dir_all(folder.join("data")).unwrap();
                fs::write(folder.join("data/gatelodge.key"), keys.join("\n")).unwrap();
            }
            Self::File => fs::write(folder.join("keys"), keys.join("\n")).unwrap(),
            Self::Configuration => {
                let toml = format!("[secrets]\nkeys = {keys:?}\n");
                fs::write(folder.join("gatelodge.toml"), toml).unwrap();
            }
            Self::Mount => {
                let version = tempfile::tempdir_in(folder).unwrap().keep();
                fs::write(version.join("keys"), keys.join("\n")).unwrap();
                symlink(&version, folder.join("..new")).unwrap();
                fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
                let _ = symlink("..data/keys", folder.join("keys"));
            }
        }
    }

    fn start(self, folder: &Path, keys: &[&str]) -> Program {
        self.write(folder, keys);
        let mut command = command(folder);
        if let Self::File | Self::Mount = self {
            command.env("GATELODGE_SECRETS__KEYS_FILE", "keys");
        }
        Program::run(command)
    }
}

/// What the program says once it has these keys.
fn fingerprints(keys: &[&str]) -> String {
    let each = keys
        .iter()
        .map(|key| secret_key(key).unwrap().fingerprint());
    let each: Vec<_> = each.map(|fingerprint| fingerprint.to_string()).collect();
    format!(
        "\"count\":{},\"fingerprints\":\"{}\"",
        keys.len(),
        each.join(", ")
    )
}

async fn has(program: &Program, keys: &[&str]) {
    let expected = fingerprints(keys);
    eventually("it has the keys", async || {
        let log = program.log();
        let last = log.lines().rfind(|line| line.contains("fingerprints"));
        last.is_some_and(|last| last.contains(&expected))
    })
    .await;
}

async fn registered(program: &Program, email: &str) -> Browser {
    let mut browser = program.browser();
    assert_eq!(browser.register(email, PASSWORD).await.status, 201);
    browser
}

/// The version and the key's id, by which tokens of one key begin.
fn beginning(browser: &Browser) -> &str {
    &browser.token.as_deref().expect("a cookie")[..4]
}

#[tokio::test]
async fn keys_are_rotated_without_a_restart_wherever_they_are() {
    for place in [Place::Data, Place::File, Place::Configuration, Place::Mount] {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (generate_key(), generate_key());
        let change = |keys: &[&str]| place.write(folder.path(), keys);
        let program = place.start(folder.path(), &[&old]);
        let mut ada = registered(&program, "ada@example.com").await;
        let mut thief = ada.clone();

        change(&[&old, &new]);
        has(&program, &[&old, &new]).await;
        let bob = registered(&program, "bob@example.com").await;
        assert_eq!(beginning(&ada), beginning(&bob), "{place:?}");
        change(&[&new, &old]);
        has(&program, &[&new, &old]).await;
        let mut eve = registered(&program, "eve@example.com").await;
        assert_ne!(beginning(&ada), beginning(&eve), "{place:?}");
        for browser in [&mut ada, &mut eve] {
            assert_eq!(browser.whoami().await.status, 200, "{place:?}");
        }
        change(&[&new]);
        has(&program, &[&new]).await;
        assert_eq!(eve.whoami().await.status, 200, "{place:?}");
        ada.whoami().await.assert_refused();
        ada.list_sessions().await.assert_refused();
        thief.delete_account(PASSWORD).await.assert_refused();
    }
}

#[tokio::test]
async fn keys_that_cannot_be_used_change_nothing_until_they_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (generate_key(), generate_key());
    let program = Place::File.start(folder.path(), &[&old]);
    let file = folder.path().join("keys");
    let mut ada = registered(&program, "ada@example.com").await;
    let sample = "A".repeat(86) + "==";
    let takes = "secrets.keys is not usable; it takes 64 random bytes in base64, as `gatelodge \
                 keys generate` prints";
    for (content, mistake) in [
        (
            None,
            "secrets.keys_file is not usable: No such file".to_owned(),
        ),
        (
            Some(String::new()),
            "secrets.keys_file is an empty file".to_owned(),
        ),
        (
            Some(format!("{new}\n{}", &old[..80])),
            format!("{takes} (a key is 64 bytes long; this one has 60)"),
        ),
        (
            Some(format!("{old}\n{old}")),
            "secrets.keys has a key twice".to_owned(),
        ),
        (
            Some(sample),
            format!("{takes} (a key consists of random bytes"),
        ),
    ] {
        match content {
            Some(content) => fs::write(&file, content).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let told = format!("the keys stay as they were: {mistake}");
        eventually(&told, async || program.log().contains(&told)).await;
        assert_eq!(ada.whoami().await.status, 200);
        let mut again = program.browser();
        assert_eq!(again.log_in("ada@example.com", PASSWORD).await.status, 200);
        assert_eq!(beginning(&again), beginning(&ada));
    }
    fs::write(&file, format!("{new}\n{old}\n")).unwrap();
    has(&program, &[&new, &old]).await;
    assert_eq!(ada.whoami().await.status, 200);
    let log = program.log();
    assert_eq!(log.matches("\"level\":\"ERROR\"").count(), 5, "{log}");
    for secret in [&old[..20], &new[..20]] {
        assert!(!log.contains(secret));
    }
}

#[tokio::test]
async fn a_hang_up_has_the_keys_read_at_once_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let mut ada = registered(&program, "ada@example.com").await;
    for round in 2..5 {
        program.signal("HUP");
        eventually("it tells its keys", async || {
            program.log().matches("fingerprints").count() == round
        })
        .await;
        assert_eq!(ada.whoami().await.status, 200);
    }
    let file = folder.path().join("data/gatelodge.key");
    let old = fs::read_to_string(&file).unwrap();
    let new = generate_key();
    fs::write(&file, format!("{new}\n{old}")).unwrap();
    program.signal("HUP");
    has(&program, &[&new, old.trim()]).await;
    assert_eq!(ada.whoami().await.status, 200);
}

#[tokio::test]
async fn an_instance_with_other_keys_is_told_of_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let (database, redis) = (TestDatabase::create().await, OwnRedis::start());
    let start = |keys: String| {
        let mut command = command(folder.path());
        command
            .env("DATABASE_URL", &database.url)
            .env("REDIS_URL", redis.url())
            .env("GATELODGE_SESSION__LEASE", "2s")
            .env("GATELODGE_SECRETS__KEYS", keys);
        Program::run(command)
    };
    let (first, second) = (start(generate_key()), start(generate_key()));
    within(Duration::from_secs(30), "the cause is told", async || {
        [&first, &second]
            .iter()
            .any(|one| one.log().contains("have other secrets.keys"))
    })
    .await;
}
