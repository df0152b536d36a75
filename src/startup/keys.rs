//! Where the keys come from: read at the start, and again whenever their files have
//! changed, so that they are rotated without a restart.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::signal::unix::Signal;

use crate::config::{KeyFiles, Mistakes, Secrets, Settings, Tokens};
use crate::domain::jwt::PemKeys;
use crate::domain::keys::{KEY_LENGTH, KeyRing};
use crate::entropy;
use crate::sessions::Mint;

/// How often the files are looked at. What is in them is compared: that works on every
/// file system, and when a link is moved to another file, as Kubernetes does.
const INTERVAL: Duration = Duration::from_secs(1);

/// The key ring, and where its keys are read again.
pub(super) struct Keys {
    ring: Arc<KeyRing>,
    secrets: Secrets,
}

/// What was read: what people tell the keys by, or what is wrong.
type Reading = Result<Vec<String>, String>;

impl Keys {
    /// What is configured; else, of an embedded instance, the file in its folder, with
    /// a key generated when it is first asked for.
    pub(super) fn read(settings: &Settings) -> anyhow::Result<Self> {
        let secrets = match settings.database.data_directory() {
            Some(directory) if settings.secrets.keys.is_empty() => embedded(&directory)?,
            _ => settings.secrets.clone(),
        };
        let Some((first, others)) = secrets.keys.split_first() else {
            bail!("secrets.keys is missing");
        };
        Ok(Self {
            ring: Arc::new(KeyRing::new(first, others)),
            secrets,
        })
    }

    pub(super) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring)
    }

    /// Has the ring, and the mint with it, follow their files as long as somebody uses
    /// them, at once at `reload`.
    pub(super) fn follow(self, mint: &Arc<Mint>, tokens: &Tokens, reload: Option<Signal>) {
        let Self { ring, secrets } = self;
        let (of_ring, of_mint) = (Ok(fingerprints(&secrets)), Ok(kids(&tokens.keys)));
        tell_ring(&of_ring);
        tell_mint(&of_mint);
        let followed = Followed {
            ring: Arc::downgrade(&ring),
            mint: Arc::downgrade(mint),
            files: Arc::new((secrets, tokens.files.clone())),
            of_ring: Looks::since(of_ring),
            of_mint: Looks::since(of_mint),
        };
        tokio::spawn(followed.follow(reload));
    }
}

/// Whose keys are in files, and what looking at these has come to.
struct Followed {
    ring: Weak<KeyRing>,
    mint: Weak<Mint>,
    files: Arc<(Secrets, KeyFiles)>,
    of_ring: Looks,
    of_mint: Looks,
}

impl Followed {
    async fn follow(mut self, mut reload: Option<Signal>) {
        loop {
            let reason = tokio::select! {
                () = tokio::time::sleep(INTERVAL) => Reason::Interval,
                () = received(reload.as_mut()) => Reason::Signal,
            };
            let files = Arc::clone(&self.files);
            let read = move || (files.0.read_again(), files.1.read());
            let Ok((secrets, pem)) = tokio::task::spawn_blocking(read).await else {
                continue;
            };
            let (Some(ring), Some(mint)) = (self.ring.upgrade(), self.mint.upgrade()) else {
                break;
            };
            let found = reading(&secrets, fingerprints);
            if self.of_ring.settle(&found, reason) {
                if let Ok(Some((first, others))) = secrets.as_ref().map(|it| it.keys.split_first())
                {
                    ring.replace(first, others);
                }
                tell_ring(&found);
            }
            let found = reading(&pem, kids);
            if self.of_mint.settle(&found, reason) {
                if let Ok(pem) = pem {
                    mint.replace(pem);
                }
                tell_mint(&found);
            }
        }
    }
}

fn reading<K>(read: &Result<K, Mistakes>, names: fn(&K) -> Vec<String>) -> Reading {
    match read {
        Ok(keys) => Ok(names(keys)),
        Err(mistakes) => Err(mistakes.on_one_line()),
    }
}

/// Why the file is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    Interval,
    /// Somebody says that it is as it should be.
    Signal,
}

/// What looking at the file has come to. A file is changed in more than one step: what
/// is found there counts when the next look finds the same.
struct Looks {
    settled: Reading,
    last: Reading,
}

impl Looks {
    fn since(settled: Reading) -> Self {
        Self {
            last: settled.clone(),
            settled,
        }
    }

    /// Whether what was read counts from now on.
    fn settle(&mut self, reading: &Reading, reason: Reason) -> bool {
        let has_settled = *reading == self.last && *reading != self.settled;
        self.last.clone_from(reading);
        if has_settled || reason == Reason::Signal {
            self.settled.clone_from(reading);
            return true;
        }
        false
    }
}

async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// So that people see whether all instances have the same keys, in the same order.
fn tell_ring(reading: &Reading) {
    match reading {
        Ok(fingerprints) => tracing::info!(
            count = fingerprints.len(),
            fingerprints = fingerprints.join(", "),
            "keys: the first key signs and encrypts; every key verifies"
        ),
        Err(mistakes) => tracing::error!("the keys stay as they were: {mistakes}"),
    }
}

/// The same, if there are any.
fn tell_mint(reading: &Reading) {
    match reading {
        Ok(kids) if kids.is_empty() => {}
        Ok(kids) => tracing::info!(
            count = kids.len(),
            kids = kids.join(", "),
            "keys of JWTs: the first of each algorithm signs, all are published"
        ),
        Err(mistakes) => tracing::error!("the keys of JWTs stay as they were: {mistakes}"),
    }
}

fn fingerprints(secrets: &Secrets) -> Vec<String> {
    let each = secrets.keys.iter();
    each.map(|key| key.fingerprint().to_string()).collect()
}

fn kids(keys: &PemKeys) -> Vec<String> {
    let each = keys.published();
    each.map(|key| key.kid().to_owned()).collect()
}

/// Where an embedded instance has its keys, if none are configured.
pub(super) fn file_in(directory: &Path) -> PathBuf {
    directory.join("gatelodge.key")
}

/// The keys of an embedded instance. Its file can hold several, as any other.
fn embedded(directory: &Path) -> anyhow::Result<Secrets> {
    let path = file_in(directory);
    if !path.exists() {
        write_key(&path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Secrets::in_file(&path).with_context(|| format!("{} is not usable", path.display()))
}

/// Writes a new key for its owner alone, whole or not at all; `false` if there is
/// a file already, which is left as it is.
///
/// # Errors
/// If it cannot be written.
pub fn write_key(path: &Path) -> std::io::Result<bool> {
    let suffix = u64::from_ne_bytes(entropy::random());
    let unfinished = path.with_extension(format!("{suffix:016x}"));
    let mut file = OpenOptions::new()
        .write(true)
        .mode(0o600)
        .create_new(true)
        .open(&unfinished)?;
    let written = writeln!(file, "{}", generate_key()).and_then(|()| file.sync_all());
    // Unlike a move, a link does not take the place of a file.
    let linked = written.and_then(|()| fs::hard_link(&unfinished, path));
    fs::remove_file(&unfinished)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// A new key, in the base64 that `secrets.keys` takes.
#[must_use]
pub fn generate_key() -> String {
    STANDARD.encode(entropy::random::<KEY_LENGTH>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret_key;

    fn keys(count: usize) -> Vec<String> {
        let keys = (0..count).map(|_| secret_key(&generate_key()).unwrap());
        keys.map(|key| key.fingerprint().to_string()).collect()
    }

    #[test]
    fn what_is_found_twice_counts_and_what_is_found_in_passing_does_not() {
        let (old, new) = (Ok(keys(1)), Ok(keys(2)));
        let wrong = Err("secrets.keys_file is an empty file".to_owned());
        let mut looks = Looks::since(old.clone());
        let mut settle = |reading| looks.settle(reading, Reason::Interval);
        assert!(!settle(&old));
        assert!(!settle(&wrong));
        assert!(!settle(&new));
        assert!(settle(&new));
        assert!(!settle(&new));
        assert!(!settle(&wrong));
        assert!(!settle(&new));
        assert!(!settle(&wrong));
        assert!(settle(&wrong));
        assert!(!settle(&wrong));
        assert!(!settle(&new));
        assert!(settle(&new));
    }

    #[test]
    fn what_is_found_when_somebody_asks_counts_at_once() {
        let (old, new) = (Ok(keys(1)), Ok(keys(2)));
        let wrong = Err("secrets.keys_file is an empty file".to_owned());
        let mut looks = Looks::since(old.clone());
        assert!(looks.settle(&old, Reason::Signal));
        assert!(looks.settle(&new, Reason::Signal));
        assert!(!looks.settle(&new, Reason::Interval));
        assert!(looks.settle(&wrong, Reason::Signal));
    }
}
