//! What this process takes of its machine, under the names that Prometheus' own clients
//! use. Elsewhere than on Linux, nothing is told.

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
            START_TIME.shows((), booted_at()? + seconds(*fields.get(19)?)),
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

#[cfg(target_os = "linux")]
fn booted_at() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn readings() -> Vec<Reading> {
    Vec::new()
}
