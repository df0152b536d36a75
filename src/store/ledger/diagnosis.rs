//! Whether the ledger can keep what it promises.

use std::time::{Duration, Instant};

use rustix::fs::statvfs;
use sqlx::{Connection as _, FromRow, PgConnection};

use super::{Ledger, bounded, postgres, sqlite};
use crate::domain::cause;
use crate::domain::finding::Finding;
use crate::domain::time::Timestamp;
use crate::store::ROUND_TRIPS;
use crate::telemetry::metrics;

/// Slower ones make log-ins slow.
const SLOW: Duration = Duration::from_millis(20);
/// A connection beside the pool: of the poll.
const BESIDE_THE_POOL: u32 = 1;
/// PostgreSQL 13 is the first to make random marks without an extension.
const OLDEST_POSTGRES: i32 = 130_000;

const ROOM_FAIL: u64 = 100 << 20;
const ROOM_WARN: u64 = 1 << 30;

/// What the ledger is held against.
#[derive(Clone, Copy)]
pub struct Expected {
    /// Of each instance.
    pub max_connections: u32,
    /// Whether a start brings the schema up to date.
    pub migrates: bool,
}

impl Ledger {
    /// Looks and changes nothing. `now`: this machine's clock.
    pub async fn examine(&self, expected: Expected, now: impl Fn() -> Timestamp) -> Vec<Finding> {
        let mut findings = match self {
            Self::Postgres(database) => examine_postgres(database, expected, now).await,
            Self::Sqlite(database) => examine_sqlite(database),
        };
        findings.push(self.examine_schema(expected).await);
        findings
    }

    async fn examine_schema(&self, expected: Expected) -> Finding {
        const ABOUT: &str = "ledger: schema";
        let another = match self {
            Self::Postgres(database) => database.sign_of_another().await,
            Self::Sqlite(database) => database.sign_of_another().await,
        };
        if let Ok(Some(sign)) = another {
            return Finding::fail(
                ABOUT,
                format!("the database is another program's: it has {sign}"),
                "name one by database.url that is gatelodge's alone",
            );
        }
        match self.check_schema().await {
            Ok(()) => Finding::ok(ABOUT, "up to date"),
            Err(error) if expected.migrates => Finding::warn(
                ABOUT,
                cause::chain(error.as_ref()),
                "the next start does it",
            ),
            Err(error) => Finding::fail(
                ABOUT,
                cause::chain(error.as_ref()),
                "run `gatelodge migrate`",
            ),
        }
    }
}

#[derive(FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "so PostgreSQL answers")]
struct Server {
    version: String,
    version_number: i32,
    is_in_recovery: bool,
    is_read_only: bool,
    synchronous_commit: String,
    fsync: bool,
    full_page_writes: bool,
    synchronous_standbys: String,
    standbys: i64,
    connections: i32,
    reserved: i32,
    instances: i64,
    has_trigrams: bool,
    offers_trigrams: bool,
}

async fn examine_postgres(
    database: &postgres::Database,
    expected: Expected,
    now: impl Fn() -> Timestamp,
) -> Vec<Finding> {
    const ABOUT: &str = "ledger";
    let looked = bounded(metrics::Store::Ledger, async {
        let mut connection = database.dedicated().await?;
        let server = server(&mut connection).await?;
        let trip = round_trip(&mut connection).await?;
        let before = now();
        let (theirs,): (Timestamp,) = sqlx::query_as("select clock_timestamp()")
            .fetch_one(&mut connection)
            .await?;
        let skew = theirs.skew_between(before, now());
        connection.close().await?;
        Ok((server, trip, skew))
    });
    match looked.await {
        Ok((server, trip, skew)) => {
            let clock = Finding::clock(
                "ledger: clock",
                skew,
                "let NTP set both: times are the ledger's, and those in logs this machine's",
            );
            let judged = server.judge(expected).into_iter();
            judged.chain([latency(trip), clock]).collect()
        }
        Err(error) => vec![Finding::fail(
            ABOUT,
            format!("it does not answer: {error}"),
            "start PostgreSQL, or mend database.url",
        )],
    }
}

async fn server(connection: &mut PgConnection) -> Result<Server, sqlx::Error> {
    let (is_there,): (bool,) = sqlx::query_as("select to_regclass('instances') is not null")
        .fetch_one(&mut *connection)
        .await?;
    let mut server: Server = sqlx::query_as(
        "select current_setting('server_version') as version, \
         current_setting('server_version_num')::int as version_number, \
         pg_is_in_recovery() as is_in_recovery, \
         current_setting('transaction_read_only')::boolean as is_read_only, \
         current_setting('synchronous_commit') as synchronous_commit, \
         current_setting('fsync')::boolean as fsync, \
         current_setting('full_page_writes')::boolean as full_page_writes, \
         current_setting('synchronous_standby_names') as synchronous_standbys, \
         (select count(*) from pg_stat_replication) as standbys, \
         current_setting('max_connections')::int as connections, \
         current_setting('superuser_reserved_connections')::int as reserved, \
         0::bigint as instances, \
         exists (select from pg_extension where extname = 'pg_trgm') as has_trigrams, \
         exists (select from pg_available_extensions where name = 'pg_trgm') as offers_trigrams",
    )
    .fetch_one(&mut *connection)
    .await?;
    if is_there {
        let count = "select count(*) from instances where struck_off_at is null";
        (server.instances,) = sqlx::query_as(count).fetch_one(connection).await?;
    }
    Ok(server)
}

/// The shortest of some.
async fn round_trip(connection: &mut PgConnection) -> Result<Duration, sqlx::Error> {
    let mut shortest = Duration::MAX;
    for _ in 0..ROUND_TRIPS {
        let begun = Instant::now();
        sqlx::query("select").execute(&mut *connection).await?;
        shortest = shortest.min(begun.elapsed());
    }
    Ok(shortest)
}

fn latency(trip: Duration) -> Finding {
    const ABOUT: &str = "ledger: round trip";
    let found = format!("{:.1} ms", trip.as_secs_f64() * 1000.0);
    if trip > SLOW {
        return Finding::warn(
            ABOUT,
            found,
            "a log-in takes several: run the instances near the database",
        );
    }
    Finding::ok(ABOUT, found)
}

impl Server {
    fn judge(&self, expected: Expected) -> [Finding; 6] {
        [
            self.version(),
            self.writability(),
            self.durability(),
            self.standbys(),
            self.room(expected),
            self.trigrams(),
        ]
    }

    fn version(&self) -> Finding {
        const ABOUT: &str = "ledger";
        let found = format!("PostgreSQL {}", self.version);
        if self.version_number < OLDEST_POSTGRES {
            return Finding::fail(ABOUT, found, "use PostgreSQL 13 or later");
        }
        Finding::ok(ABOUT, found)
    }

    fn writability(&self) -> Finding {
        const ABOUT: &str = "ledger: writes";
        let mend = "name the primary by database.url, or promote this one";
        if self.is_in_recovery {
            return Finding::fail(ABOUT, "this is a standby: it takes none", mend);
        }
        if self.is_read_only {
            return Finding::fail(ABOUT, "it takes none: it is read-only", mend);
        }
        Finding::ok(ABOUT, "it takes them")
    }

    /// Whether a revocation that was answered outlives a crash.
    fn durability(&self) -> Finding {
        const ABOUT: &str = "ledger: durability";
        let lost = "a crash can bring back sessions whose end was answered";
        for (name, is_on) in [
            ("fsync", self.fsync),
            ("full_page_writes", self.full_page_writes),
        ] {
            if !is_on {
                return Finding::fail(
                    ABOUT,
                    format!("{name} is off: {lost}"),
                    format!("set {name} = on in postgresql.conf"),
                );
            }
        }
        let mode = self.synchronous_commit.as_str();
        if mode == "off" {
            return Finding::fail(
                ABOUT,
                format!("synchronous_commit is off: {lost}"),
                "set synchronous_commit = on, for this user and database too",
            );
        }
        if matches!(mode, "local" | "remote_write") && self.standbys > 0 {
            return Finding::warn(
                ABOUT,
                format!("synchronous_commit is {mode}: a failover can lose what was answered"),
                "set synchronous_commit = on",
            );
        }
        Finding::ok(ABOUT, format!("fsync is on, synchronous_commit is {mode}"))
    }

    fn standbys(&self) -> Finding {
        const ABOUT: &str = "ledger: standbys";
        let count = self.standbys;
        match (count, self.synchronous_standbys.as_str()) {
            (0, "") => Finding::ok(ABOUT, "none"),
            (0, names) => Finding::fail(
                ABOUT,
                format!("none is connected, and commits wait for {names:?}"),
                "start a standby, or empty synchronous_standby_names",
            ),
            (_, "") => Finding::warn(
                ABOUT,
                format!("{count}, none of them synchronous: a failover can lose what was answered"),
                "set synchronous_standby_names, if you fail over to one of them",
            ),
            (_, names) => Finding::ok(ABOUT, format!("{count}; commits wait for {names:?}")),
        }
    }

    fn room(&self, expected: Expected) -> Finding {
        const ABOUT: &str = "ledger: connections";
        let instances = self.instances.max(1);
        let each = i64::from(expected.max_connections + BESIDE_THE_POOL);
        let (needed, there) = (
            instances * each,
            i64::from(self.connections - self.reserved),
        );
        let found = format!(
            "{instances} × {each} at most, of {there}: each instance takes \
             database.max_connections and {BESIDE_THE_POOL} more"
        );
        if needed > there {
            return Finding::warn(
                ABOUT,
                found,
                "lower database.max_connections, or raise PostgreSQL's max_connections",
            );
        }
        Finding::ok(ABOUT, found)
    }

    fn trigrams(&self) -> Finding {
        const ABOUT: &str = "ledger: pg_trgm";
        match (self.has_trigrams, self.offers_trigrams) {
            (true, _) => Finding::ok(ABOUT, "it is there"),
            (false, true) => Finding::ok(ABOUT, "it is made with the schema"),
            (false, false) => Finding::fail(
                ABOUT,
                "the server does not have this extension",
                "install it (in Debian: postgresql-contrib)",
            ),
        }
    }
}

fn examine_sqlite(database: &sqlite::Database) -> Vec<Finding> {
    let file = database.file();
    let mut findings = vec![Finding::ok("ledger", format!("SQLite, {}", file.display()))];
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let room = statvfs(folder.unwrap_or_else(|| ".".as_ref()));
    findings.push(match room {
        Ok(room) => disk(room.f_bavail.saturating_mul(room.f_frsize)),
        Err(error) => Finding::unknown("ledger: disk", error.to_string(), "look yourself"),
    });
    findings
}

fn disk(free: u64) -> Finding {
    const ABOUT: &str = "ledger: disk";
    let found = format!("{} MiB free", free >> 20);
    let mend = "make room: on a full disk nobody can log in or out";
    match free {
        ..ROOM_FAIL => Finding::fail(ABOUT, found, mend),
        ROOM_FAIL..ROOM_WARN => Finding::warn(ABOUT, found, mend),
        ROOM_WARN.. => Finding::ok(ABOUT, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::State::{self, Fail, Ok, Warn};

    fn good() -> Server {
        Server {
            version: "17.2".to_owned(),
            version_number: 170_002,
            is_in_recovery: false,
            is_read_only: false,
            synchronous_commit: "on".to_owned(),
            fsync: true,
            full_page_writes: true,
            synchronous_standbys: String::new(),
            standbys: 0,
            connections: 100,
            reserved: 3,
            instances: 3,
            has_trigrams: true,
            offers_trigrams: true,
        }
    }

    const EXPECTED: Expected = Expected {
        max_connections: 10,
        migrates: true,
    };

    #[track_caller]
    fn is_judged(server: &Server, about: &str, state: State) {
        for finding in server.judge(EXPECTED) {
            let expected = if finding.about == about { state } else { Ok };
            assert_eq!(finding.state, expected, "{finding:?}");
        }
    }

    #[test]
    fn what_loses_or_refuses_commits_is_told() {
        is_judged(&good(), "", Ok);
        let old = |version_number| Server {
            version_number,
            ..good()
        };
        is_judged(&old(120_020), "ledger", Fail);
        is_judged(
            &Server {
                is_in_recovery: true,
                ..good()
            },
            "ledger: writes",
            Fail,
        );
        is_judged(
            &Server {
                is_read_only: true,
                ..good()
            },
            "ledger: writes",
            Fail,
        );
        is_judged(
            &Server {
                fsync: false,
                ..good()
            },
            "ledger: durability",
            Fail,
        );
        is_judged(
            &Server {
                full_page_writes: false,
                ..good()
            },
            "ledger: durability",
            Fail,
        );
        let commits = |mode: &str, standbys, names: &str| Server {
            synchronous_commit: mode.to_owned(),
            synchronous_standbys: names.to_owned(),
            standbys,
            ..good()
        };
        is_judged(&commits("off", 0, ""), "ledger: durability", Fail);
        is_judged(&commits("local", 0, ""), "ledger: durability", Ok);
        is_judged(&commits("local", 1, "*"), "ledger: durability", Warn);
        is_judged(&commits("on", 1, ""), "ledger: standbys", Warn);
        is_judged(&commits("on", 1, "*"), "ledger: standbys", Ok);
        is_judged(&commits("on", 0, "*"), "ledger: standbys", Fail);
        is_judged(
            &Server {
                instances: 9,
                ..good()
            },
            "ledger: connections",
            Warn,
        );
        let without = |offers_trigrams| Server {
            has_trigrams: false,
            offers_trigrams,
            ..good()
        };
        is_judged(&without(true), "ledger: pg_trgm", Ok);
        is_judged(&without(false), "ledger: pg_trgm", Fail);
    }

    #[test]
    fn slow_ways_and_full_disks_are_told() {
        assert_eq!(latency(Duration::from_millis(21)).state, Warn);
        assert_eq!(disk((100 << 20) - 1).state, Fail);
        assert_eq!(disk(1 << 29).state, Warn);
        assert_eq!(disk(1 << 30).state, Ok);
    }
}
