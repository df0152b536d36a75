//! Copies of a SQLite ledger: taken beside a service that uses it, and put back when
//! none does. PostgreSQL has tools of its own.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
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
    /// all. Holds up nobody.
    ///
    /// # Errors
    /// If the ledger is PostgreSQL, if there is a file that is to be kept, or if what was
    /// written is not right.
    pub async fn back_up(
        &self,
        to: &Path,
        existing: Existing,
        mut told: impl FnMut(Copied),
    ) -> anyhow::Result<()> {
        let Self::Sqlite(database) = self else {
            bail!("PostgreSQL is backed up with its own tools");
        };
        ensure!(
            existing == Existing::Replaced || !to.exists(),
            "{} is there already",
            to.display()
        );
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
        let prepared = database.with_extension("restoring");
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
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = options.connect().await?;
    let newest: Result<(Option<i64>,), _> =
        sqlx::query_as("select max(version) from _sqlx_migrations")
            .fetch_one(&mut connection)
            .await;
    connection.close().await?;
    let Ok((Some(newest),)) = newest else {
        bail!("it is no database of gatelodge");
    };
    ensure!(
        newest <= sqlite::newest_migration(),
        "it was made by a later version of gatelodge: restore it with that one"
    );
    Ok(())
}

/// In one step. The database that was there stays beside it.
async fn place(prepared: &Path, database: &Path, act: Act) -> anyhow::Result<Option<PathBuf>> {
    let aside = if database.exists() {
        let name = format!(".before-{}", act.at.to_string().replace(':', ""));
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

fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |about| about.len())
}

fn remove_all_of(database: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        remove(&beside(database, suffix))?;
    }
    Ok(())
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// So that a name that was given outlives a loss of power.
fn sync_folder_of(file: &Path) -> anyhow::Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    Ok(File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?)
}
