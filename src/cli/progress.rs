//! How far long work has come: a bar on a terminal, elsewhere a line now and then, both
//! on standard error.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};

/// How often there is a line where nobody sees a bar.
const PACE: Duration = Duration::from_secs(5);
/// How often the bar moves by itself.
const TICK: Duration = Duration::from_millis(200);

const BAR: &str = "{bar:30} {percent:>3}%  {msg}  ({elapsed}, {eta} left)";
const NO_BAR: &str = "{spinner} {msg}  ({elapsed})";

/// Whether progress is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    Telling,
    Quiet,
}

pub(super) struct Progress {
    voice: Voice,
    /// Draws nothing but on a terminal.
    bar: ProgressBar,
    told_at: Instant,
}

impl Progress {
    /// `whole`: where it ends, if that is known.
    pub(super) fn begin(voice: Voice, whole: Option<u64>) -> Self {
        let bar = match (voice, whole) {
            (Voice::Quiet, _) => ProgressBar::hidden(),
            (Voice::Telling, Some(whole)) => ProgressBar::new(whole),
            (Voice::Telling, None) => ProgressBar::no_length(),
        };
        let template = if whole.is_some() { BAR } else { NO_BAR };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self {
            voice,
            bar,
            told_at: Instant::now(),
        }
    }

    /// `at`: how much of the whole is done.
    pub(super) fn tell(&mut self, at: u64, what: impl FnOnce() -> String) {
        self.bar.set_position(at);
        if !self.bar.is_hidden() {
            self.bar.set_message(what());
        } else if self.voice == Voice::Telling && self.told_at.elapsed() >= PACE {
            self.told_at = Instant::now();
            let share = self.bar.length().filter(|whole| *whole > 0);
            let share = share.map(|whole| format!("{}%: ", at.min(whole) * 100 / whole));
            say(&format!("{}{}", share.unwrap_or_default(), what()));
        }
    }

    /// Says something that stays, above the bar if there is one.
    pub(super) fn note(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// In the unit that suits it.
pub(super) fn size(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

/// Says something on standard error. That nobody listens is no failure.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
