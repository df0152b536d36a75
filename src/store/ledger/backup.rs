//! Copies of a SQLite ledger: taken beside a service that uses it, and put back when
//! none does. PostgreSQL has tools of its own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::{Ledger, sqlite};
use crate::domain::audit::Act;
use crate::entropy;

/// How often it is told how far a copy is.
const PACE: Duration = Duration::from_millis(200);
const CHUNK: usize = 1 << 20;

/// What follows the database's name in that of what a restore has replaced.
const BEFORE: &str = ".before-";

/// What the names of a SQLite database's files end in.
const PARTS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// How much of a copy is made, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    pub done: u64,
    pub whole: u64,
}

/// What becomes of a file in the place of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    Kept,
    Replaced,
}

impl Ledger {
    /// Writes what is committed by now to a file, for its owner alone, whole or not at
    /// all. Holds up nobody. It takes the place of an earlier backup alone, and never that
    /// of a file the service needs, of which `secrets` are those with keys.
    ///
    /// # Errors
    /// If the ledger is PostgreSQL, if there is a file that is to be kept, or if what was
    /// written is not right.
    pub async fn back_up(
        &self,
        to: &Path,
        existing: Existing,
        secrets: &[PathBuf],
        mut told: impl FnMut(Copied),
    ) -> anyhow::Result<()> {
        let Self::Sqlite(database) = self else {
            bail!("PostgreSQL is backed up with its own tools");
        };
        require_apart(to, database.file(), secrets)?;
        require_free(to, existing).await?;
        let unfinished = beside(
            to,
            &format!("{:016x}", u64::from_ne_bytes(entropy::random())),
        );
        let cannot_write = || format!("cannot write {}", to.display());
        sqlite::create_private(&unfinished).with_context(cannot_write)?;
        let written = async {
            copy_into(database, &unfinished, &mut told).await?;
            verify(&unfinished).await?;
            File::open(&unfinished)?.sync_all()?;
            // It has taken a while.
            require_apart(to, database.file(), secrets)?;
            require_free(to, existing).await?;
            match existing {
                Existing::Replaced => fs::rename(&unfinished, to)?,
                // Unlike a move, a link does not take the place of a file.
                Existing::Kept => fs::hard_link(&unfinished, to)?,
            }
            sync_folder_of(to)
        };
        let written = written.await;
        remove(&unfinished)?;
        written.with_context(cannot_write)
    }

    /// Puts a backup in the place of the SQLite database at `url`; says where that one is
    /// now, if there was one. All sessions and links of the backup are ended: some of
    /// them have been since it was made.
    ///
    /// # Errors
    /// If somebody uses the database, or the backup cannot be one of this version or an
    /// earlier one. The database is as it was then.
    pub async fn restore(
        url: &str,
        backup: &Path,
        act: Act,
        mut told: impl FnMut(Copied),
    ) -> anyhow::Result<Option<PathBuf>> {
        let database = SqliteConnectOptions::from_str(url)?;
        let database = database.get_filename();
        let _claim = sqlite::claim(database)?;
        ensure!(
            !beside(backup, "-wal").exists(),
            "{} is the file of a database in use and not all of it: `gatelodge backup` makes a \
             whole one",
            backup.display()
        );
        let prepared = prepared_for(database);
        for part in parts_of(&prepared) {
            ensure!(
                !is_same(backup, &part),
                "{} has the name of what a restore prepares and removes: give it another",
                backup.display()
            );
        }
        remove_all_of(&prepared)?;
        let placed = async {
            copy(backup, &prepared, &mut told)
                .with_context(|| format!("cannot copy {}", backup.display()))?;
            prepare(&prepared, act)
                .await
                .with_context(|| format!("{} is not used", backup.display()))?;
            place(&prepared, database, act).await
        };
        let placed = placed.await;
        remove_all_of(&prepared)?;
        placed
    }
}

/// Whether a backup there would take nothing from the service.
fn require_apart(to: &Path, database: &Path, secrets: &[PathBuf]) -> anyhow::Result<()> {
    let named = |files: Vec<PathBuf>, what| files.into_iter().map(move |file| (file, what));
    let taken = named(parts_of(database), "the database itself, or a part of it")
        .chain(named(sqlite::locks_of(database), "a lock of the database"))
        .chain(named(
            parts_of(&prepared_for(database)),
            "what a restore prepares",
        ))
        .chain(named(set_aside(database), "what a restore has replaced"))
        .chain(named(secrets.to_vec(), "a file of keys and secrets"));
    for (file, what) in taken {
        ensure!(
            !is_same(to, &file),
            "{} is {what}: name a file that the service does not use",
            to.display()
        );
    }
    Ok(())
}

async fn require_free(to: &Path, existing: Existing) -> anyhow::Result<()> {
    let there = match fs::symlink_metadata(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        there => there.with_context(|| format!("cannot look at {}", to.display()))?,
    };
    ensure!(
        existing == Existing::Replaced,
        "{} is there already: name another file, or replace an earlier backup with --force",
        to.display()
    );
    let kind = there.file_type();
    ensure!(
        kind.is_file(),
        "{} is not replaced: it is a {}, and --force replaces an earlier backup alone",
        to.display(),
        if kind.is_symlink() {
            "link"
        } else if kind.is_dir() {
            "folder"
        } else {
            "device or a pipe"
        }
    );
    require_backup(to).await.with_context(|| {
        format!(
            "{} is not replaced: --force replaces an earlier backup alone",
            to.display()
        )
    })
}

/// A database that is served from writes its log beside it; a backup of it does not. The
/// file says so at its start (<https://sqlite.org/fileformat2.html#file_format_version_numbers>).
async fn require_backup(file: &Path) -> anyhow::Result<()> {
    const WRITE_VERSION: usize = 18;
    const WAL: u8 = 2;
    let mut head = Vec::new();
    File::open(file)?.take(20).read_to_end(&mut head)?;
    ensure!(
        head.get(WRITE_VERSION) != Some(&WAL),
        "it is a database to serve from"
    );
    newest_migration(file).await.map(drop)
}

/// One statement, and one moment (<https://sqlite.org/lang_vacuum.html#vacuuminto>).
async fn copy_into(
    database: &sqlite::Database,
    to: &Path,
    told: &mut impl FnMut(Copied),
) -> anyhow::Result<()> {
    let whole = size(database.file());
    let mut connection = database.dedicated().await?;
    let name = to.to_str().context("its name is no text")?.to_owned();
    {
        let copied = sqlx::query("vacuum into $1")
            .bind(name)
            .execute(&mut connection);
        let mut copied = pin!(copied);
        loop {
            tokio::select! {
                copied = &mut copied => {
                    copied?;
                    break;
                }
                () = tokio::time::sleep(PACE) => told(Copied { done: size(to), whole }),
            }
        }
    }
    Ok(connection.close().await?)
}

fn copy(from: &Path, to: &Path, told: &mut impl FnMut(Copied)) -> anyhow::Result<()> {
    let (mut from, mut to) = (File::open(from)?, sqlite::create_private(to)?);
    let (mut done, whole) = (0, from.metadata()?.len());
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&chunk[..length])?;
        done += u64::try_from(length)?;
        told(Copied { done, whole });
    }
}

/// Whether SQLite finds everything in the file as it should be.
async fn verify(file: &Path) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = options.connect().await?;
    let checked = integrity(&mut connection).await;
    connection.close().await?;
    checked
}

async fn integrity(connection: &mut SqliteConnection) -> anyhow::Result<()> {
    let (found,): (String,) = sqlx::query_as("pragma integrity_check(1)")
        .fetch_one(connection)
        .await
        .context("it is no SQLite database, or damaged")?;
    ensure!(found == "ok", "it is damaged: {found}");
    Ok(())
}

/// Makes of a backup what can be served from: of this version, with nobody logged in.
async fn prepare(file: &Path, act: Act) -> anyhow::Result<()> {
    verify(file).await?;
    require_ours(file).await?;
    let ledger = Ledger::Sqlite(sqlite::Database::open_file(file, 1).await?);
    let ended = async {
        ledger.migrate().await?;
        Ok(ledger.end_what_was_restored(act).await?)
    };
    let ended: anyhow::Result<()> = ended.await;
    ledger.close().await;
    ended?;
    ensure!(!beside(file, "-wal").exists(), "it was not written whole");
    Ok(File::open(file)?.sync_all()?)
}

async fn require_ours(file: &Path) -> anyhow::Result<()> {
    ensure!(
        newest_migration(file).await? <= sqlite::newest_migration(),
        "it was made by a later version of gatelodge: restore it with that one"
    );
    Ok(())
}

/// The newest that the database in the file has had, if it is one of ours. Other programs
/// keep the same book of migrations.
async fn newest_migration(file: &Path) -> anyhow::Result<i64> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = options.connect().await?;
    let newest: Result<(Option<i64>,), _> = sqlx::query_as(
        "select max(version) from _sqlx_migrations \
         where exists (select 1 from sqlite_master where name = 'revocation_head')",
    )
    .fetch_one(&mut connection)
    .await;
    connection.close().await?;
    let Ok((Some(newest),)) = newest else {
        bail!("it is no database of gatelodge");
    };
    Ok(newest)
}

/// In one step. The database that was there stays beside it.
async fn place(prepared: &Path, database: &Path, act: Act) -> anyhow::Result<Option<PathBuf>> {
    let aside = if database.exists() {
        let name = format!("{BEFORE}{}", act.at.to_string().replace(':', ""));
        let aside = beside(database, &name);
        settle(database, &aside).await?;
        fs::hard_link(database, &aside).context("cannot keep the present database")?;
        Some(aside)
    } else {
        None
    };
    fs::rename(prepared, database).context("cannot put it in place")?;
    sync_folder_of(database)?;
    Ok(aside)
}

/// Sees to it that a database is one file: what lay beside it would be taken for the next
/// one's. Nobody else may use it for that.
async fn settle(database: &Path, aside: &Path) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .busy_timeout(Duration::from_secs(1))
        .journal_mode(SqliteJournalMode::Delete);
    let settled = async { options.connect().await?.close().await };
    match settled.await {
        Ok(()) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.message().contains("locked") => {
            bail!("a command is at work on {}: let it end", database.display())
        }
        // It cannot be read: it may be why there is a restore.
        Err(_) => {
            for suffix in ["-wal", "-shm"] {
                match fs::rename(beside(database, suffix), beside(aside, suffix)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(error.into());
                    }
                    // None was there, or the connection that failed has just removed it.
                    _ => {}
                }
            }
            Ok(())
        }
    }
}

/// The file beside one whose name goes on so.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Databases that were replaced by a restore, each perhaps the only one of its kind.
fn set_aside(database: &Path) -> Vec<PathBuf> {
    let name = beside(database, BEFORE);
    let begins_so = |file: &PathBuf| {
        let [file, name] = [file, &name].map(|path| path.file_name().map(OsStr::as_encoded_bytes));
        file.zip(name)
            .is_some_and(|(file, name)| file.starts_with(name))
    };
    let there = fs::read_dir(folder_of(database)).into_iter().flatten();
    there
        .flatten()
        .map(|file| file.path())
        .filter(begins_so)
        .collect()
}

/// The files that a SQLite database consists of, or may.
fn parts_of(database: &Path) -> Vec<PathBuf> {
    let parts = PARTS.iter().map(|suffix| beside(database, suffix));
    parts.collect()
}

/// Where a backup is made ready for its place.
fn prepared_for(database: &Path) -> PathBuf {
    beside(database, ".restoring")
}

/// Whether both name one file, be it through links, or would if there were one.
fn is_same(one: &Path, other: &Path) -> bool {
    let file = |path| fs::metadata(path).map(|about| (about.dev(), about.ino()));
    let place = |path| Some((fs::canonicalize(folder_of(path)).ok()?, path.file_name()?));
    match (file(one), file(other)) {
        (Ok(one), Ok(other)) => one == other,
        (Err(_), Err(_)) => place(one) == place(other),
        _ => false,
    }
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |about| about.len())
}

fn remove_all_of(database: &Path) -> io::Result<()> {
    parts_of(database).iter().try_for_each(|part| remove(part))
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn folder_of(file: &Path) -> &Path {
    let folder = file.parent();
    let named = folder.filter(|folder| !folder.as_os_str().is_empty());
    named.unwrap_or_else(|| Path::new("."))
}

/// So that a name that was given outlives a loss of power.
fn sync_folder_of(file: &Path) -> anyhow::Result<()> {
    Ok(File::open(folder_of(file))?.sync_all()?)
}
