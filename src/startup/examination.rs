//! Whether a deployment can do what it is configured to: a look at everything that the
//! service would stand on, whether or not it runs.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getegid, geteuid, getrlimit};
use tokio::time::timeout;

use super::application::OTHER_FILES;
use super::{keys, redis};
use crate::accounts::time_of_one_hash;
use crate::config::Settings;
use crate::domain::cause;
use crate::domain::finding::Finding;
use crate::domain::id::InstanceId;
use crate::domain::instance::Registered;
use crate::domain::keys::KeyRing;
use crate::domain::revocation::LogNumber;
use crate::entropy;
use crate::sessions::Clock;
use crate::store::Unavailable;
use crate::store::bus::{self, Bus, Signal};
use crate::store::hot;
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
    findings.push(private_files(settings));
    findings.push(open_files());
    findings.push(password_cost(settings));
    findings.extend(ledger(settings).await);
    findings.extend(hot_store(settings).await);
    findings
}

/// Whether nobody else on this machine can read keys, secrets and hashes.
fn private_files(settings: &Settings) -> Finding {
    const ABOUT: &str = "files";
    let database = &settings.database;
    let folder = database.data_directory();
    let made_here = folder.as_ref().map(|folder| keys::file_in(folder));
    let files = [folder, made_here, database.file()];
    let files = files.iter().flatten().chain(&settings.private_files);
    let (mut open, mut mend) = (Vec::new(), Vec::new());
    for path in files {
        if let Some(others) = others_with_access(path) {
            open.push(path.display().to_string());
            mend.push(format!("chmod {others}= {}", path.display()));
        }
    }
    if open.is_empty() {
        return Finding::ok(ABOUT, "only their owner reads keys and hashes");
    }
    let open = open.join(" ");
    Finding::warn(
        ABOUT,
        format!("others on this machine can read {open}"),
        mend.join("; "),
    )
}

/// As chmod calls them. A group that is not the owner's own may be the service's: so
/// systemd and Kubernetes hand out keys.
fn others_with_access(path: &Path) -> Option<&'static str> {
    let about = fs::metadata(path).ok()?;
    let is_own = (about.uid(), about.gid()) == (geteuid().as_raw(), getegid().as_raw());
    if is_own && about.mode() & 0o070 != 0 {
        Some("go")
    } else if about.mode() & 0o007 != 0 {
        Some("o")
    } else {
        None
    }
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

/// The ledger, and the instances that it knows.
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
                cause::chain(error.as_ref()),
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
    findings.push(instances(settings, &ledger).await);
    ledger.close().await;
    findings
}

/// Whether everybody who is registered says that they know the revocation log as far as
/// it went when they were asked.
async fn instances(settings: &Settings, ledger: &Ledger) -> Finding {
    const ABOUT: &str = "instances";
    let looked = async {
        let mut log = ledger.log_reader().await?;
        let head = log.read(None).await?.head.number;
        let heard_of = beats(settings).await;
        Ok::<_, Unavailable>((head, heard_of, log.registered().await?))
    };
    match looked.await {
        Ok((head, heard_of, registered)) => judge_instances(head, &heard_of, &registered),
        Err(error) => Finding::unknown(ABOUT, error.to_string(), "see the ledger, above"),
    }
}

/// What each instance says through Redis, in the time in which each says something.
async fn beats(settings: &Settings) -> HashMap<InstanceId, LogNumber> {
    let mut heard = HashMap::new();
    let Ok(Some(redis)) = redis(&settings.redis) else {
        return heard;
    };
    let Some((first, others)) = settings.secrets.keys.split_first() else {
        return heard;
    };
    let keys = Arc::new(KeyRing::new(first, others));
    let bus = Bus::new(redis, &settings.redis.key_prefix, keys);
    let listening = async {
        let mut listener = bus.listen().await?;
        loop {
            if let Signal::Beat(beat) = listener.next().await? {
                heard.insert(beat.instance, beat.reached.number);
            }
        }
    };
    let patience = 2 * settings.session.poll_interval + settings.redis.command_timeout;
    // It ends early if Redis does not answer: that is told elsewhere.
    let _: Result<Result<Infallible, Unavailable>, _> = timeout(patience, listening).await;
    heard
}

fn judge_instances(
    head: LogNumber,
    heard_of: &HashMap<InstanceId, LogNumber>,
    registered: &[Registered],
) -> Finding {
    const ABOUT: &str = "instances";
    let reached = |one: &Registered| {
        let reported = one.report.map(|report| report.reached.number);
        heard_of.get(&one.instance).copied().max(reported)
    };
    if registered.is_empty() {
        return Finding::ok(ABOUT, "none");
    }
    // Who is alone has nobody to tell.
    if let [one] = registered
        && !one.is_struck_off
    {
        return Finding::ok(ABOUT, "1");
    }
    let is_current =
        |one: &&Registered| !one.is_struck_off && reached(one).is_some_and(|at| at >= head);
    let (current, others): (Vec<_>, Vec<_>) = registered.iter().partition(is_current);
    let count = current.len();
    if others.is_empty() {
        return Finding::ok(
            ABOUT,
            format!("{count}, and all have read the revocation log up to {head}"),
        );
    }
    let others: Vec<_> = others.iter().map(|one| one.instance.to_string()).collect();
    Finding::warn(
        ABOUT,
        format!(
            "{count} have read the revocation log up to {head}; not, or not yet: {}",
            others.join(", ")
        ),
        "if that stays so, they are cut off or frozen, or have other secrets.keys; who crashed is \
         forgotten after a minute",
    )
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
            let found = cause::chain(error.as_ref());
            return vec![Finding::fail(ABOUT, found, "mend redis.url")];
        }
    };
    let (prefix, clock) = (&settings.redis.key_prefix, Clock::new());
    let own = InstanceId::new(clock.now(), entropy::random());
    let names = Names {
        key: format!("{}doctor-{own}", hot::beginning(prefix)),
        channel: bus::channel(prefix),
    };
    redis.examine(&names, || clock.now()).await
}
