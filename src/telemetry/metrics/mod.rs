//! What the service counts: one table, from which the answer to `GET /metrics` is written
//! as well as `docs/metrics.md`.
//!
//! Each room counts what happens in it; what can be read off when somebody asks is read
//! then. Own code rather than a library: what is counted at every check must not have
//! cores wait for each other (`cells.rs`).

mod cells;
mod kinds;
mod labels;
mod process;

use std::fmt::Write as _;

pub use kinds::{Counters, Durations, Gauges, Kind, Metric, Reading, Shown};
pub use labels::{Label, Labels, Route};

use labels::labels;

/// As the answer is labelled.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

labels! {
    Method "method" {
        Get "GET", Head "HEAD", Post "POST", Put "PUT", Patch "PATCH", Delete "DELETE",
        Other "other",
    }
    /// Of an answer, its class.
    Status "status" { Success "2xx", Redirect "3xx", ClientError "4xx", ServerError "5xx" }
    /// Who has decided a check.
    CheckSource "source" {
        /// Nobody was asked: its MAC or key is wrong.
        Token "token",
        Cache "cache",
        HotStore "hot_store",
        Ledger "ledger",
    }
    CheckOutcome "outcome" {
        Alive "alive",
        /// By a revocation, or by its limits.
        Ended "ended",
        /// The ledger does not know it (any more).
        Unknown "unknown",
        Forged "forged",
        /// Nobody can tell.
        Unavailable "unavailable",
    }
    /// What was done in another's stead, or was left for later.
    Fallback "fallback" {
        /// The ledger was asked, since the hot store did not answer.
        HotStoreSilent "hot_store_silent",
        /// The ledger was asked, since the view was not fresh.
        ViewStale "view_stale",
        /// A copy was not kept in the hot store.
        CopyNotKept "copy_not_kept",
        /// Copies are dropped from the hot store later.
        CopiesDroppedLater "copies_dropped_later",
        /// A revocation was not pushed: the others poll it.
        PushLost "push_lost",
        /// Touches are written later.
        TouchesLater "touches_later",
    }
    LoginOutcome "outcome" {
        Success "success",
        UnknownAccount "unknown_account",
        WrongPassword "wrong_password",
        Locked "locked",
        /// The credential changed while it was verified.
        CredentialChanged "credential_changed",
        Throttled "throttled",
        Busy "busy",
        Unavailable "unavailable",
    }
    ExchangeOutcome "outcome" {
        Success "success",
        /// It is malformed, not genuine, not valid now, or not meant for us.
        Invalid "invalid",
        UnknownAccount "unknown_account",
        Locked "locked",
        /// It was exchanged before.
        Used "used",
        Unavailable "unavailable",
    }
    HashingRefusal "reason" {
        QueueFull "queue_full",
        /// It waited too long.
        TooLate "too_late",
    }
    RevocationKind "kind" {
        SessionEnded "session_ended",
        UserEnded "user_ended",
        UserChanged "user_changed",
        EveryoneEnded "everyone_ended",
    }
    /// How an entry of the revocation log came into an instance's view.
    Arrival "via" {
        /// The instance itself has appended it.
        Own "own",
        Push "push",
        Poll "poll",
    }
    Store "store" {
        Ledger "ledger",
        /// The ledger, on the connection of the poll.
        LedgerPoll "ledger_poll",
        Redis "redis",
    }
    Failure "failure" {
        Timeout "timeout",
        /// There is none, or it was lost.
        Connection "connection",
        /// The store has answered that it does not.
        Refused "refused",
    }
    Pool "pool" { Ledger "ledger", Redis "redis" }
    Use "use" { Idle "idle", InUse "in_use" }
    Version "version" { This env!("CARGO_PKG_VERSION") }
}

/// What it says above each metric is its help.
macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $metric:ident: $kind:ty = $name:literal;)*) => {
        $(
            $(#[doc = $help])+
            pub static $metric: $kind = <$kind>::new($name, concat!($($help),+));
        )*

        /// The table.
        pub static ALL: &[&dyn Metric] = &[$(&$metric),*];
    };
}

metrics! {
    /// The version that runs.
    BUILD_INFO: Gauges<Version> = "gatelodge_build_info";

    /// Requests answered.
    HTTP_REQUESTS: Counters<(Route, Method, Status)> = "gatelodge_http_requests_total";
    /// From when a request's head was read to when its answer was ready.
    HTTP_DURATION: Durations<(Route, Method)> = "gatelodge_http_request_duration_seconds";

    /// Checks of tokens, by who decided them and how.
    CHECKS: Counters<(CheckSource, CheckOutcome)> = "gatelodge_checks_total";
    /// What was done in another's stead, or left for later, because something did not answer.
    FALLBACKS: Counters<Fallback> = "gatelodge_fallbacks_total";
    /// Sessions that the local cache of this instance remembers.
    CACHED_SESSIONS: Gauges<()> = "gatelodge_cached_sessions";
    /// Sessions in the ledger, expired ones until they are swept up, and those ended with all
    /// of their user's. Asked once a minute at most; exact up to 10 000, beyond that
    /// PostgreSQL's own estimate. Every instance says the same. Missing while the ledger does
    /// not tell.
    SESSIONS: Gauges<()> = "gatelodge_sessions";

    /// Log-ins, by what came of them. To clients, all that is wrong is one.
    LOGINS: Counters<LoginOutcome> = "gatelodge_logins_total";
    /// JWTs of another system that were to be exchanged for a session, by what came of them. To
    /// clients, all that is wrong is one.
    EXCHANGES: Counters<ExchangeOutcome> = "gatelodge_exchanges_total";
    /// Refusals that are not in the audit log, since there were too many of the kind.
    AUDIT_DROPPED: Counters<()> = "gatelodge_audit_dropped_total";

    /// How long passwords waited for a hashing thread.
    HASHING_WAIT: Durations<()> = "gatelodge_hashing_wait_seconds";
    /// How long a hashing thread worked on one.
    HASHING_WORK: Durations<()> = "gatelodge_hashing_work_seconds";
    /// Passwords that were not looked at.
    HASHING_REFUSED: Counters<HashingRefusal> = "gatelodge_hashing_refused_total";
    /// Passwords being hashed or waiting for it.
    HASHING_PLACES_TAKEN: Gauges<()> = "gatelodge_hashing_places_taken";
    /// How many may be: beyond that, who logs in is asked to come again.
    HASHING_PLACES: Gauges<()> = "gatelodge_hashing_places";

    /// Entries that this instance has appended to the revocation log.
    REVOCATIONS: Counters<RevocationKind> = "gatelodge_revocations_total";
    /// From when an entry was recorded in the revocation log, just before its commit, to when
    /// this instance's view had it. Both are placed in time by the poll that follows, on the
    /// ledger's clock and on this machine's, so that a difference between them has no say; what
    /// the poll takes to reach the ledger, it adds. Of entries that polls have brought all are
    /// measured; of others the latest at each poll.
    REVOCATION_DELAY: Durations<Arrival> = "gatelodge_revocation_delay_seconds";
    /// Number of the latest entry of the revocation log in this instance's view. What has been
    /// revoked after it, this instance does not know.
    LOG_REACHED: Gauges<()> = "gatelodge_log_reached";
    /// Number after which the view knows all: copies from before are not believed.
    LOG_FLOOR: Gauges<()> = "gatelodge_log_floor";
    /// Time since the poll that last confirmed the view was sent.
    VIEW_AGE: Gauges<()> = "gatelodge_view_age_seconds";
    /// For how long copies are believed after the view was confirmed (session.lease).
    LEASE: Gauges<()> = "gatelodge_lease_seconds";
    /// Whether copies are believed: 1, or 0 if each check asks the ledger.
    VIEW_FRESH: Gauges<()> = "gatelodge_view_fresh";
    /// Whether the ledger did not answer the last poll: 1, or 0.
    LEDGER_SILENT: Gauges<()> = "gatelodge_ledger_silent";
    /// Times that the revocation log was found not to be the one it was, as after a restore.
    LOG_SET_BACK: Counters<()> = "gatelodge_log_set_back_total";
    /// Instances that are registered and not missed, as far as this one knows; it counts itself.
    INSTANCES: Gauges<()> = "gatelodge_instances";
    /// Streams of revocations that other services have open.
    REVOCATION_STREAMS: Gauges<()> = "gatelodge_revocation_streams";
    /// Whether this machine's clock differs from the ledger's by more than 2 s: 1, or 0.
    CLOCK_SKEWED: Gauges<()> = "gatelodge_clock_skewed";

    /// How long stores take to answer, or not to. Waiting for a connection counts.
    STORE_DURATION: Durations<Store> = "gatelodge_store_duration_seconds";
    /// Operations that a store has failed.
    STORE_ERRORS: Counters<(Store, Failure)> = "gatelodge_store_errors_total";
    /// Connections given up, since they or others beside them have failed. Of Redis, all at once
    /// count as one.
    CONNECTIONS_REPLACED: Counters<Pool> = "gatelodge_connections_replaced_total";
    /// Connections to a store.
    POOL_CONNECTIONS: Gauges<(Pool, Use)> = "gatelodge_pool_connections";
    /// How many there can be.
    POOL_SIZE: Gauges<Pool> = "gatelodge_pool_size";
    /// How many wait for one.
    POOL_WAITING: Gauges<Pool> = "gatelodge_pool_waiting";

    /// CPU time that this process has used.
    CPU_SECONDS: Gauges<()> = "process_cpu_seconds_total";
    /// Memory that this process has.
    RESIDENT_MEMORY: Gauges<()> = "process_resident_memory_bytes";
    /// Files and connections that this process has open.
    OPEN_FDS: Gauges<()> = "process_open_fds";
    /// How many it may have.
    MAX_FDS: Gauges<()> = "process_max_fds";
    /// Threads of this process.
    THREADS: Gauges<()> = "process_threads";
    /// When this process began, in seconds since 1970.
    START_TIME: Gauges<()> = "process_start_time_seconds";
}

/// The answer to `GET /metrics`, with what the rooms have read off just now.
#[must_use]
pub fn page(readings: &[Reading]) -> String {
    let mut all = vec![BUILD_INFO.shows(Version::This, true)];
    all.extend(process::readings());
    all.extend(readings);
    let mut page = String::new();
    for metric in ALL {
        let (name, kind) = (metric.name(), metric.kind().as_str());
        let help = metric.help();
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
        metric.write(&all, &mut page);
    }
    page
}

const REFERENCE: &str = "\
# Metrics

What `GET /metrics` on `metrics.bind` tells, in Prometheus' text format. How to have it
collected, what to look at and when to be called: [monitoring](monitoring.md).

No label has a value that a client can choose; nobody is named. Metrics without labels, and
those whose labels are listed, are there from the start; those of a route once it was asked
for. What is counted is of one instance, since it was started, unless it says otherwise.
Histograms have buckets up to 0.1 ms, 0.25 ms, 0.5 ms and so on to 5 s, and 30 s.

This page is what `gatelodge config metrics` prints.

| metric | kind | labels | |
|---|---|---|---|
";

/// The text of `docs/metrics.md`.
#[must_use]
pub fn reference_page() -> String {
    let mut page = String::from(REFERENCE);
    for metric in ALL {
        let labels = metric.labels();
        let labels = labels
            .iter()
            .map(|(name, values)| format!("`{name}`: {values}"));
        let labels = labels.collect::<Vec<_>>().join("; ");
        let (name, kind, help) = (metric.name(), metric.kind().as_str(), metric.help());
        let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// <https://prometheus.io/docs/practices/naming/>
    #[test]
    fn names_follow_the_conventions() {
        let mut names = BTreeSet::new();
        for metric in ALL {
            let name = metric.name();
            assert!(names.insert(name), "{name} is there twice");
            assert!(
                name.starts_with("gatelodge_") || name.starts_with("process_"),
                "{name}"
            );
            let is_counter = metric.kind() == Kind::Counter;
            assert_eq!(name.ends_with("_total"), is_counter, "{name}");
            let is_histogram = metric.kind() == Kind::Histogram;
            assert!(!is_histogram || name.ends_with("_seconds"), "{name}");
            let help = metric.help();
            assert!(help.ends_with('.'), "{name}: {help}");
            assert!(!help.contains(['\n', '\\', '|']), "{name}: {help}");
        }
    }
}
