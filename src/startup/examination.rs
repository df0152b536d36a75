//! Whether a deployment can do what it is configured to: a look at everything that the
//! service would stand on, whether or not it runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use super::{OTHER_FILES, redis};
use crate::accounts::time_of_one_hash;
use crate::config::Settings;
use crate::domain::finding::Finding;
use crate::domain::id::InstanceId;
use crate::entropy;
use crate::sessions::Clock;
use crate::store::ledger::{Expected, Ledger};
use crate::store::redis::Names;

/// Between these a hash is an obstacle to who guesses, and none to who logs in.
const HASH_TIME: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_secs(1);

/// Few clients at once are fewer than these.
const FEW_FILES: u64 = 4096;

/// Looks at everything, and changes nothing.
pub async fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = settings.examine();
    findings.extend(private_files(settings));
    findings.push(open_files());
    findings.push(password_cost(settings));
    findings.extend(ledger(settings).await);
    findings.extend(hot_store(settings).await);
    findings
}

/// Whether nobody else on this machine can read keys and hashes.
fn private_files(settings: &Settings) -> Vec<Finding> {
    const ABOUT: &str = "files";
    let Some(folder) = settings.database.data_directory() else {
        return Vec::new();
    };
    if !folder.exists() {
        return vec![Finding::ok(
            ABOUT,
            format!("{} is made at the first start", folder.display()),
        )];
    }
    let key = folder.join("gatelodge.key");
    let database = settings.database.file().unwrap_or_default();
    let open: Vec<_> = [folder, key, database]
        .into_iter()
        .filter(|path| is_open_to_others(path))
        .map(|path| path.display().to_string())
        .collect();
    if open.is_empty() {
        return vec![Finding::ok(ABOUT, "only their owner reads keys and hashes")];
    }
    let open = open.join(" ");
    vec![Finding::fail(
        ABOUT,
        format!("others can read {open}"),
        format!("chmod go= {open}"),
    )]
}

fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0)
}

fn open_files() -> Finding {
    const ABOUT: &str = "open files";
    let Some(files) = getrlimit(Resource::Nofile).maximum else {
        return Finding::ok(ABOUT, "no limit");
    };
    let found = format!(
        "{files} at most: {} clients",
        files.saturating_sub(OTHER_FILES)
    );
    if files < FEW_FILES {
        return Finding::warn(ABOUT, found, "raise ulimit -n (LimitNOFILE in systemd)");
    }
    Finding::ok(ABOUT, found)
}

fn password_cost(settings: &Settings) -> Finding {
    const ABOUT: &str = "password cost";
    let cost = settings.password.bcrypt_cost;
    let taken = time_of_one_hash(cost);
    let found = format!("{}: {} ms here", cost.get(), taken.as_millis());
    if taken < *HASH_TIME.start() {
        return Finding::warn(
            ABOUT,
            format!("{found}, which is little to who guesses"),
            "raise password.bcrypt_cost: `gatelodge hash calibrate` names one",
        );
    }
    if taken > *HASH_TIME.end() {
        return Finding::warn(
            ABOUT,
            format!("{found}, which every log-in waits for"),
            "lower password.bcrypt_cost: `gatelodge hash calibrate` names one",
        );
    }
    Finding::ok(ABOUT, found)
}

async fn ledger(settings: &Settings) -> Vec<Finding> {
    const ABOUT: &str = "ledger";
    let database = &settings.database;
    if let Some(file) = database.file().filter(|file| !file.exists()) {
        return vec![Finding::ok(
            ABOUT,
            format!("SQLite, {} is made at the first start", file.display()),
        )];
    }
    let ledger = match Ledger::connect(&database.url, database.max_connections).await {
        Ok(ledger) => ledger,
        Err(error) => {
            return vec![Finding::fail(
                ABOUT,
                format!("{error:#}"),
                "start the database, or mend database.url",
            )];
        }
    };
    let expected = Expected {
        max_connections: database.max_connections,
        migrates: database.migrate,
    };
    let clock = Clock::new();
    let mut findings = ledger.examine(expected, || clock.now()).await;
    findings.push(ledger.examine_instances().await);
    ledger.close().await;
    findings
}

async fn hot_store(settings: &Settings) -> Vec<Finding> {
    const ABOUT: &str = "redis";
    let redis = match redis(&settings.redis) {
        Ok(Some(redis)) => redis,
        Ok(None) if settings.database.is_sqlite() => return Vec::new(),
        Ok(None) => {
            return vec![Finding::ok(
                ABOUT,
                "none: what an instance does not remember it asks the ledger",
            )];
        }
        Err(error) => {
            return vec![Finding::fail(ABOUT, format!("{error:#}"), "mend redis.url")];
        }
    };
    let (prefix, clock) = (&settings.redis.key_prefix, Clock::new());
    let names = Names {
        key: format!(
            "{prefix}:doctor:{}",
            InstanceId::new(clock.now(), entropy::random())
        ),
        channel: format!("{prefix}:signals"),
    };
    redis.examine(&names, || clock.now()).await
}
