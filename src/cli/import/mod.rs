//! `gatelodge users import`.

mod refused;
mod row;
mod source;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use tokio::sync::mpsc;

use super::print::print;
use super::progress::{Progress, Voice};
use crate::accounts::{Imported, ImportedUser};
use crate::domain::email::Email;
use crate::domain::time::Timestamp;
use crate::startup::{self, Operator};
use refused::{Refused, Report};
use source::{Input, Row};

/// How many users one transaction creates: few enough to hold up nobody.
const AT_ONCE: usize = 500;

/// How many refusals are told one by one.
const TOLD: usize = 20;

#[derive(Args)]
pub(super) struct Import {
    /// The file, or - for standard input
    file: PathBuf,
    /// What is in it [default: by the file's name]
    #[arg(long)]
    format: Option<Format>,
    /// Only look: say who would be created and what would be refused
    #[arg(long)]
    dry_run: bool,
    /// Write what is refused to this new file, with the line and the reason
    ///
    /// In the format of the import: mend it, and import it. It holds what was refused
    /// as it was, hashes included, and is for its owner alone.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma-separated values; the first line names the columns
    Csv,
    /// One JSON object a line
    Jsonl,
}

impl Import {
    fn is_of_standard_input(&self) -> bool {
        self.file == Path::new("-")
    }

    fn format(&self) -> anyhow::Result<Format> {
        let extension = self
            .file
            .extension()
            .and_then(|extension| extension.to_str());
        match (self.format, extension) {
            (Some(format), _) => Ok(format),
            (None, Some("csv")) => Ok(Format::Csv),
            (None, Some("jsonl" | "ndjson")) => Ok(Format::Jsonl),
            (None, _) => bail!(
                "what is in {} is not plain from its name: say --format csv or --format jsonl",
                self.file.display()
            ),
        }
    }

    /// What is read, and how long it is if that is known.
    fn open(&self) -> anyhow::Result<(Box<dyn Read + Send>, Option<u64>)> {
        if self.is_of_standard_input() {
            return Ok((Box::new(std::io::stdin()), None));
        }
        let opened = File::open(&self.file).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) =
            opened.with_context(|| format!("cannot read {}", self.file.display()))?;
        Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
    }
}

/// Rows that were read, as many as are imported at once.
#[derive(Default)]
struct Batch {
    users: Vec<ImportedUser>,
    refused: Vec<Refused>,
    /// The last line that was read.
    line: u64,
    /// How much of the input that is.
    bytes: u64,
}

impl Batch {
    /// What is in it; the next goes on from there.
    fn complete(&mut self) -> Self {
        let next = Self {
            line: self.line,
            bytes: self.bytes,
            ..Self::default()
        };
        std::mem::replace(self, next)
    }
}

/// In which line each address was named first.
#[derive(Default)]
struct Named(HashMap<Email, u64>);

impl Named {
    /// Of two users of one address, which is meant is not known: the first is taken, and
    /// the second is not passed over unseen.
    fn add(&mut self, user: Box<ImportedUser>, line: u64) -> Result<Box<ImportedUser>, String> {
        match self.0.entry(user.account.email.clone()) {
            Entry::Occupied(first) => Err(format!(
                "the e-mail address is already in line {}",
                first.get()
            )),
            Entry::Vacant(free) => {
                free.insert(line);
                Ok(user)
            }
        }
    }
}

/// One of a later day would stand before all others in lists.
fn of_the_past(user: Box<ImportedUser>, now: Timestamp) -> Result<Box<ImportedUser>, String> {
    match user.created_at {
        Some(at) if at > now => Err(format!("created_at is in the future: it is {now} now")),
        _ => Ok(user),
    }
}

/// What has become of all that was read so far.
#[derive(Default)]
struct Tally {
    created: usize,
    there_already: usize,
    refused: usize,
    line: u64,
}

impl Tally {
    fn add(&mut self, imported: Imported, batch: &Batch) {
        self.created += imported.created;
        self.there_already += imported.there_already;
        self.refused += batch.refused.len();
        self.line = batch.line;
    }

    fn text(&self, dry_run: bool) -> String {
        let Self {
            created,
            there_already,
            refused,
            ..
        } = self;
        let would = if dry_run { "would have " } else { "" };
        format!("{would}created {created}, there already {there_already}, {would}refused {refused}")
    }
}

pub(super) async fn run(asked: Import, operator: &Operator, voice: Voice) -> anyhow::Result<()> {
    let format = asked.format()?;
    let (input, length) = asked.open()?;
    let input = Input::open(input, format)?;
    let report = asked.report.as_deref();
    let mut report = report
        .map(|path| Report::create(path, format))
        .transpose()?;
    let sessions = Arc::clone(&operator.sessions);
    let now = move || sessions.clock().now();
    let mut tally = Tally::default();
    let progress = Progress::begin(voice, length);
    let done = import(
        read(input, now),
        &asked,
        operator,
        progress,
        &mut report,
        &mut tally,
    )
    .await;
    let reported = report.map_or(Ok(()), Report::finish);
    print(&tally.text(asked.dry_run))?;
    done.with_context(|| {
        format!(
            "the import has ended after line {}: run it again to go on, those who are there \
             already are passed over",
            tally.line
        )
    })?;
    reported?;
    ensure!(
        tally.refused == 0,
        "some were refused: mend them, and import them again"
    );
    Ok(())
}

async fn import(
    mut batches: mpsc::Receiver<anyhow::Result<Batch>>,
    asked: &Import,
    operator: &Operator,
    mut progress: Progress,
    report: &mut Option<Report>,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut stopped = pin!(startup::stop_signal());
    loop {
        let batch = tokio::select! {
            biased;
            () = &mut stopped => bail!("interrupted"),
            batch = batches.recv() => batch,
        };
        let Some(mut batch) = batch.transpose()? else {
            return Ok(());
        };
        for (before, refused) in (tally.refused..).zip(&batch.refused) {
            if before < TOLD {
                progress.note(&refused.to_string());
            } else if before == TOLD {
                progress.note("and more: --report FILE takes down all of them");
            }
            if let Some(report) = report {
                report.add(refused)?;
            }
        }
        let users = std::mem::take(&mut batch.users);
        let begun = Instant::now();
        let imported = if asked.dry_run {
            operator.accounts.would_import(&users).await?
        } else {
            let act = operator.sessions.operators_act();
            operator.accounts.import_users(users, act).await?
        };
        let taken = begun.elapsed();
        tally.add(imported, &batch);
        progress.tell(batch.bytes, || tally.text(asked.dry_run));
        // Half of the time is the service's: of SQLite, only one can be writing.
        tokio::time::sleep(taken).await;
    }
}

/// Reads on a thread of its own, some batches ahead: a terminal or a pipe may be silent
/// for long, and whoever waits for it must be able to stop.
fn read(
    input: Input,
    now: impl Fn() -> Timestamp + Send + 'static,
) -> mpsc::Receiver<anyhow::Result<Batch>> {
    let (sender, batches) = mpsc::channel(2);
    thread::spawn(move || {
        // Nobody listens any more: it has ended.
        let _ = send(input, now, &sender);
    });
    batches
}

fn send(
    mut input: Input,
    now: impl Fn() -> Timestamp,
    to: &mpsc::Sender<anyhow::Result<Batch>>,
) -> Result<(), mpsc::error::SendError<anyhow::Result<Batch>>> {
    let (mut batch, mut named) = (Batch::default(), Named::default());
    while let Some(row) = input.next() {
        match row {
            Err(error) => {
                to.blocking_send(Ok(batch.complete()))?;
                return to.blocking_send(Err(error));
            }
            Ok(Row { line, values, user }) => {
                let user = user.and_then(|user| of_the_past(user, now()));
                match user.and_then(|user| named.add(user, line)) {
                    Ok(user) => batch.users.push(*user),
                    Err(reason) => batch.refused.push(Refused {
                        line,
                        reason,
                        values,
                    }),
                }
                (batch.line, batch.bytes) = (line, input.bytes());
            }
        }
        if batch.users.len() + batch.refused.len() == AT_ONCE {
            to.blocking_send(Ok(batch.complete()))?;
        }
    }
    to.blocking_send(Ok(batch))
}
