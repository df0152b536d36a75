//! Whether Redis does what is asked of it, and how it is set up.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use redis::Value;
use tokio::time::timeout;

use super::Redis;
use super::address::Address;
use crate::domain::finding::Finding;
use crate::domain::time::Timestamp;
use crate::store::{ROUND_TRIPS, Unavailable};

/// The first that has all that is asked of it.
const OLDEST: (u64, u64) = (6, 2);
/// In milliseconds.
const KEY_EXPIRES: u64 = 10_000;

/// Names of what is used.
pub struct Names {
    /// Of a key that nobody else has.
    pub key: String,
    /// What instances talk on. What nobody has signed is passed over there.
    pub channel: String,
}

impl Redis {
    /// Looks, and writes nothing but a key of its own. `now`: this machine's clock.
    pub async fn examine(&self, names: &Names, now: impl Fn() -> Timestamp) -> Vec<Finding> {
        let mut findings = match self.examine_use(names).await {
            Ok(findings) => findings,
            Err(unreachable) => return vec![unreachable],
        };
        if matches!(&*self.address, Address::Cluster(_)) {
            findings.push(Finding::unknown(
                "redis: nodes",
                "this is a cluster, and each of its nodes has settings of its own",
                "see that maxmemory-policy is allkeys-lru on each, and no appendfsync is always",
            ));
            return findings;
        }
        findings.push(self.examine_clock(now).await);
        findings.extend(self.examine_settings().await);
        findings
    }

    /// Does all that instances do.
    async fn examine_use(&self, names: &Names) -> Result<Vec<Finding>, Finding> {
        const ABOUT: &str = "redis";
        let key = names.key.as_str();
        let mut trip = Duration::MAX;
        // The first to answer has connected before.
        for _ in 0..ROUND_TRIPS {
            let begun = Instant::now();
            let got = self.query::<Value>(redis::cmd("GET").arg(key)).await;
            got.map_err(|error| refusal(ABOUT, &error))?;
            trip = trip.min(begun.elapsed());
        }
        let mut set = redis::cmd("SET");
        set.arg(key).arg("").arg("PX").arg(KEY_EXPIRES);
        for command in [&set, redis::cmd("UNLINK").arg(key)] {
            let done = self.query::<Value>(command).await;
            done.map_err(|error| refusal(ABOUT, &error))?;
        }
        Ok(vec![
            Finding::ok(ABOUT, "it reads and writes"),
            self.latency(trip),
            self.examine_channel(&names.channel).await,
        ])
    }

    fn latency(&self, trip: Duration) -> Finding {
        const ABOUT: &str = "redis: round trip";
        let found = format!("{:.1} ms", trip.as_secs_f64() * 1000.0);
        if trip > self.command_timeout / 4 {
            return Finding::warn(
                ABOUT,
                format!("{found}, of {:?} that it may take", self.command_timeout),
                "run the instances near Redis, or raise redis.command_timeout",
            );
        }
        Finding::ok(ABOUT, found)
    }

    /// Whether what is published is heard.
    async fn examine_channel(&self, channel: &str) -> Finding {
        const ABOUT: &str = "redis: pushes";
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(channel).arg("");
        let heard = async {
            let mut listener = self.subscribe(channel).await?;
            self.query::<Value>(&publish).await?;
            listener.next().await.map(drop)
        };
        match timeout(2 * self.command_timeout, heard).await {
            Ok(Ok(())) => Finding::ok(ABOUT, "what is published is heard"),
            Ok(Err(error)) => refusal(ABOUT, &error),
            Err(_) => Finding::fail(
                ABOUT,
                "what is published is not heard",
                "see that redis.url leads to the master: replicas pass nothing on",
            ),
        }
    }

    async fn examine_clock(&self, now: impl Fn() -> Timestamp) -> Finding {
        const ABOUT: &str = "redis: clock";
        let before = now();
        let answer: Result<(i64, i64), _> = self.query(&redis::cmd("TIME")).await;
        match answer {
            Ok((seconds, micros)) => {
                let theirs = Timestamp::from_millis(seconds * 1000 + micros / 1000);
                // Copies expire by the time that is left: they lose nothing by it.
                Finding::clock(
                    ABOUT,
                    theirs.skew_between(before, now()),
                    "let NTP set both; nothing depends on it but logs",
                )
            }
            Err(error) => Finding::unknown(ABOUT, error.to_string(), "see that NTP sets it"),
        }
    }

    async fn examine_settings(&self) -> Vec<Finding> {
        const ABOUT: &str = "redis: settings";
        let info: Result<String, _> = self.query(&redis::cmd("INFO")).await;
        let info = match info {
            Ok(info) => Info::parse(&info),
            Err(error) => {
                return vec![Finding::unknown(
                    ABOUT,
                    error.to_string(),
                    "ask your provider: maxmemory-policy should be allkeys-lru, and appendfsync \
                     not always",
                )];
            }
        };
        let log = if info.number("aof_enabled") == 1 {
            let mut get = redis::cmd("CONFIG");
            get.arg("GET").arg("appendfsync");
            let got: Result<Vec<String>, _> = self.query(&get).await;
            let fsync = got.ok().and_then(|got| got.into_iter().nth(1));
            fsync.map_or(Log::Hidden, Log::Written)
        } else {
            Log::None
        };
        vec![info.version(), info.memory(), log.judge()]
    }
}

/// What an error means, and how to mend it.
fn refusal(about: &'static str, error: &Unavailable) -> Finding {
    let found = error.to_string();
    let text = found.to_lowercase();
    let says = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    let mend = if says(&["noauth", "wrongpass", "authentication"]) {
        "mend the user and the password in redis.url"
    } else if says(&["noperm"]) {
        "give the user of redis.url the commands, keys and channel that SECURITY.md names, with \
         your redis.key_prefix"
    } else if says(&["readonly"]) {
        "this is a replica: name the master by redis.url, or use redis+sentinel"
    } else if says(&["used memory"]) {
        "it is full: set maxmemory-policy allkeys-lru, or give it more memory"
    } else {
        "start Redis, or mend redis.url; until then sessions are checked against the ledger"
    };
    Finding::fail(about, found, mend)
}

/// What Redis says of itself.
struct Info(HashMap<String, String>);

impl Info {
    fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.trim().split_once(':'));
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    fn version(&self) -> Finding {
        const ABOUT: &str = "redis: version";
        let version = self.text("redis_version");
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        let number = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if number < OLDEST {
            return Finding::fail(ABOUT, version, "use Redis 6.2 or later, or Valkey");
        }
        Finding::ok(ABOUT, version)
    }

    /// What happens when it is full.
    fn memory(&self) -> Finding {
        const ABOUT: &str = "redis: memory";
        let (limit, policy) = (self.number("maxmemory"), self.text("maxmemory_policy"));
        match (limit, policy) {
            (_, "") => Finding::unknown(
                ABOUT,
                "it does not say what its maxmemory-policy is",
                "ask your provider: allkeys-lru is right",
            ),
            (0, _) => Finding::ok(ABOUT, "no limit"),
            (_, "noeviction") => Finding::warn(
                ABOUT,
                format!(
                    "noeviction at {} MiB: full, it takes no copy and no push, and each check that \
                     an instance does not remember costs the ledger a read",
                    limit >> 20
                ),
                "set maxmemory-policy allkeys-lru: what it holds are copies",
            ),
            (_, policy) => Finding::ok(
                ABOUT,
                format!("{policy} at {} MiB: what it holds are copies", limit >> 20),
            ),
        }
    }
}

/// What Redis keeps on disk of each write.
enum Log {
    None,
    /// There is one, and nobody may see how it is written.
    Hidden,
    /// `appendfsync`.
    Written(String),
}

impl Log {
    fn judge(&self) -> Finding {
        const ABOUT: &str = "redis: persistence";
        match self {
            Self::None => Finding::ok(
                ABOUT,
                "appendonly is off, and need not be on: what it holds are copies",
            ),
            Self::Hidden => Finding::unknown(
                ABOUT,
                "it has a log of its own, and does not say how it is written",
                "ask your provider: appendfsync should not be always",
            ),
            Self::Written(fsync) if fsync == "always" => Finding::warn(
                ABOUT,
                "appendfsync is always: each write waits for the disk",
                "set appendfsync everysec, or appendonly no: what it holds are copies",
            ),
            Self::Written(fsync) => Finding::ok(ABOUT, format!("appendfsync is {fsync}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::State::{Fail, Ok, Unknown, Warn};

    #[test]
    fn what_redis_says_of_itself_is_judged() {
        let info = |policy: &str, limit: u64, version: &str| {
            Info::parse(&format!(
                "# Server\r\nredis_version:{version}\r\nmaxmemory:{limit}\r\n\
                 maxmemory_policy:{policy}\r\n"
            ))
        };
        let full = 64 << 20;
        assert_eq!(info("noeviction", full, "7.4.1").memory().state, Warn);
        assert_eq!(info("noeviction", 0, "7.4.1").memory().state, Ok);
        for policy in ["allkeys-lru", "allkeys-lfu", "volatile-ttl"] {
            assert_eq!(info(policy, full, "7.4.1").memory().state, Ok);
        }
        assert_eq!(Info::parse("").memory().state, Unknown);
        assert_eq!(info("", 0, "6.2.0").version().state, Ok);
        assert_eq!(info("", 0, "10.0.0").version().state, Ok);
        assert_eq!(info("", 0, "6.0.16").version().state, Fail);
        let written = |fsync: &str| Log::Written(fsync.to_owned()).judge().state;
        assert_eq!(Log::None.judge().state, Ok);
        assert_eq!(Log::Hidden.judge().state, Unknown);
        assert_eq!(written("everysec"), Ok);
        assert_eq!(written("always"), Warn);
    }
}
