//! What this process takes of its machine, under the names that Prometheus' own clients
//! use. Elsewhere than on Linux, nothing is told.

#[cfg(target_os = "linux")]
use std::{sync::LazyLock, time::Duration};

#[cfg(target_os = "linux")]
use rustix::time::{ClockId, clock_gettime};

use super::{
    CPU_SECONDS, MAX_FDS, OPEN_FDS, RESIDENT_MEMORY, Reading, START_TIME, Shown as _, THREADS,
};

#[cfg(target_os = "linux")]
pub(super) fn readings() -> Vec<Reading> {
    use rustix::param::{clock_ticks_per_second, page_size};
    use rustix::process::{Resource, getrlimit};

    let of_stat = || {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // After the name, which may have anything in it: see proc_pid_stat(5).
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<u64> = fields
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        let seconds = |ticks: u64| ticks.shown() / clock_ticks_per_second().shown();
        Some([
            CPU_SECONDS.shows((), seconds(fields.get(11)? + fields.get(12)?)),
            THREADS.shows((), *fields.get(17)?),
            START_TIME.shows((), *BOOTED_AT + seconds(*fields.get(19)?)),
            RESIDENT_MEMORY.shows((), fields.get(21)? * page_size() as u64),
        ])
    };
    let open = std::fs::read_dir("/proc/self/fd").map(Iterator::count);
    let limit = getrlimit(Resource::Nofile).current;
    let files = [
        open.ok().map(|open| OPEN_FDS.shows((), open)),
        limit.map(|limit| MAX_FDS.shows((), limit)),
    ];
    let stat = of_stat().into_iter().flatten();
    stat.chain(files.into_iter().flatten()).collect()
}

/// When this machine was started, as far as its own clock knows. Looked up once, so that
/// later changes of the clock start no process again; and not in /proc/stat, which a
/// sandbox hides.
#[cfg(target_os = "linux")]
static BOOTED_AT: LazyLock<f64> = LazyLock::new(|| {
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    let now = read(ClockId::Realtime);
    now.saturating_sub(read(ClockId::Boottime)).as_secs_f64()
});

#[cfg(not(target_os = "linux"))]
pub(super) fn readings() -> Vec<Reading> {
    Vec::new()
}
