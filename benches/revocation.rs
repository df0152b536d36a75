//! How fast, and how surely, a revocation takes hold. Starts its own servers and
//! three instances, prints each figure beside what is promised, and fails if one is
//! not kept:
//!
//! ```sh
//! cargo bench --bench revocation
//! cargo bench --bench revocation -- memory
//! ```

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and one that cannot go on has failed"
)]

#[path = "../tests/support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the tests stand on the rest of it"
)]
mod support;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gatelodge::config::secret_key;
use gatelodge::domain::id::{SessionId, UserId};
use gatelodge::domain::keys::KeyRing;
use gatelodge::domain::revocation::{Entry, Head, LogNumber, Mark, Revocation};
use gatelodge::domain::time::Timestamp;
use gatelodge::domain::token::Token;
use gatelodge::domain::view::View;
use gatelodge::entropy;
use reqwest::Method;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use zeroize::Zeroizing;

use support::Stack::Scaled;
use support::app::{PASSWORD, crowd};
use support::servers::{OwnPostgres, OwnRedis};
use support::{Browser, TestApp, within};

/// Whether all that is promised was kept.
struct Report(bool);

impl Report {
    fn line(&mut self, what: &str, figure: &str, promised: &str, is_kept: bool) {
        let mark = if is_kept { "" } else { "  NOT KEPT" };
        println!("| {what} | {figure} | {promised} |{mark}");
        self.0 &= is_kept;
    }

    fn delays(&mut self, what: &str, mut delays: Vec<Duration>, p99: Duration, max: Duration) {
        delays.sort();
        let at = |percent: usize| delays[(delays.len() - 1) * percent / 100];
        let is_kept = at(99) <= p99 && at(100) <= max;
        self.line(
            &format!("{what}, {} rounds, p50 / p99 / max", delays.len()),
            &format!("{:.1?} / {:.1?} / {:.1?}", at(50), at(99), at(100)),
            &format!("p99 ≤ {p99:?}, always ≤ {max:?}"),
            is_kept,
        );
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    println!("| figure | measured | promised |\n|---|---|---|");
    let mut report = Report(true);
    let named: Vec<_> = std::env::args()
        .skip(1)
        .filter(|name| !name.starts_with('-'))
        .collect();
    let is_wanted = |name: &str| named.is_empty() || named.iter().any(|named| named == name);
    if is_wanted("effective") {
        effective(&mut report).await;
    }
    if is_wanted("delay") {
        delay(&mut report).await;
        without_redis(&mut report).await;
    }
    if is_wanted("recovery") {
        recovery(&mut report).await;
    }
    if is_wanted("everyone") {
        everyone(&mut report).await;
    }
    if is_wanted("cold_start") {
        cold_start(&mut report).await;
    }
    if is_wanted("memory") {
        memory(&mut report);
    }
    assert!(report.0, "a promise was not kept");
}

async fn revoke(browser: &Browser, by: &Browser, wait: &str) {
    let id = browser.clone().session_id().await;
    let request = by.request(Method::DELETE, &format!("/api/sessions/{id}{wait}"));
    let answer = by.clone().send(request).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
}

/// A session of Ada's, at hand on all instances.
async fn at_hand(instances: &[&TestApp]) -> Vec<Browser> {
    let browser = instances[0].logged_in("ada@example.com").await;
    let mut everywhere = Vec::new();
    for instance in instances {
        let mut there = browser.at(instance.address);
        assert_eq!(there.whoami().await.status, 200);
        everywhere.push(there);
    }
    everywhere
}

/// How many requests, sent after the answer that a revocation is effective, are
/// answered as if it were not.
async fn effective(report: &mut Report) {
    const ROUNDS: usize = 1000;
    const REQUESTS: usize = 100;
    let first = TestApp::spawn(Scaled).await;
    let (second, third) = (
        first.another_instance().await,
        first.another_instance().await,
    );
    let ada = first.registered("ada@example.com").await;
    let (mut accepted, mut waited) = (0, Vec::new());
    for _ in 0..ROUNDS {
        let everywhere = at_hand(&[&first, &second, &third]).await;
        let started = Instant::now();
        revoke(&everywhere[0], &ada, "?wait=effective").await;
        waited.push(started.elapsed());
        let checks = everywhere.into_iter().map(async |mut there| {
            let mut accepted = 0;
            for _ in 0..REQUESTS.div_ceil(3) {
                accepted += usize::from(there.whoami().await.status == 200);
            }
            accepted
        });
        accepted += join_all(checks).await.into_iter().sum::<usize>();
    }
    let asked = ROUNDS * REQUESTS.div_ceil(3) * 3;
    report.line(
        "requests sent after `wait=effective` was answered that still get 200",
        &format!("{accepted} of {asked}"),
        "0",
        accepted == 0,
    );
    let most = Duration::from_secs(2);
    report.delays(
        "answer with `wait=effective`, three instances",
        waited,
        most,
        most,
    );
}

/// How long after the answer another instance still accepts the session.
async fn delays(first: &TestApp, second: &TestApp, rounds: usize) -> Vec<Duration> {
    let ada = first.logged_in("ada@example.com").await;
    let mut delays = Vec::new();
    for _ in 0..rounds {
        let everywhere = at_hand(&[first, second]).await;
        let mut there = everywhere[1].clone();
        revoke(&everywhere[0], &ada, "").await;
        let (answered, mut last) = (Instant::now(), None);
        loop {
            let sent = Instant::now();
            if there.whoami().await.status != 200 {
                break;
            }
            last = Some(sent);
        }
        delays.push(last.map_or(Duration::ZERO, |last| last - answered));
    }
    delays
}

async fn delay(report: &mut Report) {
    let first = TestApp::spawn(Scaled).await;
    let second = first.another_instance().await;
    first.registered("ada@example.com").await;
    let delays = delays(&first, &second, 1000).await;
    let (p99, max) = (Duration::from_millis(250), Duration::from_secs(1));
    report.delays("revocation delay, by push", delays, p99, max);
}

async fn without_redis(report: &mut Report) {
    let mut redis = OwnRedis::start();
    let url = redis.url();
    let first = TestApp::spawn_with(Scaled, &[("REDIS_URL", &url)]).await;
    let second = first.another_instance().await;
    first.registered("ada@example.com").await;
    redis.kill().await;
    let delays = delays(&first, &second, 100).await;
    let max = Duration::from_secs(1);
    report.delays(
        "revocation delay with Redis down, by the poll",
        delays,
        max,
        max,
    );
    redis.come_back().await;
}

/// From when the server accepts connections again until logging in, a check on the
/// other instance and a revocation that is effective there work as ever.
async fn is_normal(first: &TestApp, second: &TestApp) -> Duration {
    within(Duration::from_secs(30), "all is as ever", async || {
        let mut ada = first.browser();
        if ada.log_in("ada@example.com", PASSWORD).await.status != 200
            || ada.at(second.address).whoami().await.status != 200
        {
            return false;
        }
        let request = ada.request(
            Method::DELETE,
            "/api/sessions?include_current=true&wait=effective",
        );
        let revoked = ada.clone().send(request).await;
        revoked.status == 200 && ada.at(second.address).whoami().await.status == 401
    })
    .await
}

async fn recovery(report: &mut Report) {
    const PROMISED: Duration = Duration::from_secs(10);
    let (mut redis, mut postgres) = (OwnRedis::start(), OwnPostgres::start());
    let settings = [("REDIS_URL", redis.url()), ("DATABASE_URL", postgres.url())];
    let settings = settings.each_ref().map(|(name, url)| (*name, url.as_str()));
    let first = TestApp::spawn_with(Scaled, &settings).await;
    let second = first.another_instance().await;
    first.registered("ada@example.com").await;
    let mut line = |what: &str, taken: Duration| {
        let what = format!("normal after {what}");
        report.line(&what, &format!("{taken:.1?}"), "≤ 10 s", taken <= PROMISED);
    };
    redis.kill().await;
    redis.come_back().await;
    line(
        "Redis was killed and is back, empty",
        is_normal(&first, &second).await,
    );
    redis.freeze();
    let frozen = Instant::now();
    within(PROMISED, "Redis is missed", async || {
        first.logged_in("ada@example.com").await.whoami().await;
        frozen.elapsed() > Duration::from_secs(3)
    })
    .await;
    redis.thaw();
    line("Redis hung for 3 s", is_normal(&first, &second).await);
    postgres.crash().await;
    postgres.come_back().await;
    line(
        "PostgreSQL has crashed and is back",
        is_normal(&first, &second).await,
    );
}

async fn everyone(report: &mut Report) {
    let database = crowd().await;
    let first = TestApp::spawn_with(Scaled, &[("DATABASE_URL", &database.url)]).await;
    let (second, third) = (
        first.another_instance().await,
        first.another_instance().await,
    );
    first.registered("ada@example.com").await;
    let everywhere = at_hand(&[&first, &second, &third]).await;
    let mut root = first.admin().await;
    let started = Instant::now();
    let body = json!({ "filter": { "everyone": true } });
    let answer = root.post("/api/admin/sessions/revoke", &body).await;
    let answered = started.elapsed();
    assert_eq!(answer.status, 200, "{}", answer.text);
    let refused = join_all(everywhere.into_iter().map(async |mut there| {
        within(Duration::from_secs(5), "it is refused", async || {
            there.whoami().await.status == 401
        })
        .await
    }));
    let refused = refused.await.into_iter().max().unwrap();
    report.line(
        "“everyone”, with 1 000 000 live sessions: answered",
        &format!("{answered:.1?}"),
        "< 100 ms",
        answered < Duration::from_millis(100),
    );
    report.line(
        "… and refused by all three instances, after that",
        &format!("{refused:.1?}"),
        "≤ 1 s",
        refused <= Duration::from_secs(1),
    );
}

/// So many more sessions of that user, by their tokens.
async fn many_sessions(app: &TestApp, mut user: Browser, count: u32) -> Vec<String> {
    let user = user.whoami().await.json()["user"]["id"].clone();
    let user: uuid::Uuid = user.as_str().unwrap().parse().unwrap();
    let key = secret_key(&app.environment()["GATELODGE_SECRETS__KEYS"]).unwrap();
    let keys = KeyRing::new(&key, &[]);
    let mint = |_| Token::mint(&Zeroizing::new(entropy::random()), &keys);
    let tokens: Vec<_> = (0..count).map(mint).collect();
    let digests = tokens
        .iter()
        .map(|token| token.digest().as_bytes().to_vec());
    let mut ledger = PgConnection::connect(app.database_url()).await.unwrap();
    sqlx::query(
        "insert into sessions (id, digest, user_id, generation, born, issued_at, \
         authenticated_at, last_seen_at, expires_at, idle_timeout_ms, remember_me) \
         select gen_random_uuid(), digest, u.id, u.session_generation, h.number, now(), now(), \
         now(), now() + interval '1 day', 7200000, false \
         from unnest($2::bytea[]) as digest, users u, revocation_head h where u.id = $1",
    )
    .bind(user)
    .bind(digests.collect::<Vec<_>>())
    .execute(&mut ledger)
    .await
    .unwrap();
    let values = tokens
        .iter()
        .map(|token| token.expose().as_str().to_owned());
    values.collect()
}

/// An instance that begins with nothing at hand, and a hundred thousand sessions
/// that all come back at once.
async fn cold_start(report: &mut Report) {
    const SESSIONS: u32 = 100_000;
    const CLIENTS: usize = 64;
    let redis = OwnRedis::start();
    let url = redis.url();
    let warm = TestApp::spawn_with(Scaled, &[("REDIS_URL", &url)]).await;
    let ada = warm.registered("ada@example.com").await;
    let tokens = many_sessions(&warm, ada, SESSIONS).await;
    redis.command(&["FLUSHALL"]).await;
    let cold = warm.another_instance().await;
    let mut watching = PgConnection::connect(cold.database_url()).await.unwrap();
    let reads = "select coalesce(sum(idx_scan), 0)::bigint from pg_stat_user_indexes \
                 where indexrelname = 'sessions_digest_key'";
    let (before,): (i64,) = sqlx::query_as(reads)
        .fetch_one(&mut watching)
        .await
        .unwrap();
    let started = Instant::now();
    let share = tokens.len().div_ceil(CLIENTS);
    let clients = tokens.chunks(share).map(|tokens| {
        let (mut browser, tokens) = (cold.browser(), tokens.to_vec());
        tokio::spawn(async move {
            let mut refused = 0;
            for token in tokens {
                browser.token = Some(token);
                refused += usize::from(browser.whoami().await.status != 200);
            }
            refused
        })
    });
    let refused: usize = join_all(clients.collect::<Vec<_>>())
        .await
        .into_iter()
        .map(Result::unwrap)
        .sum();
    let taken = started.elapsed();
    // Statistics arrive a little later.
    let mut read = 0;
    within(
        Duration::from_secs(20),
        "the reads are counted",
        async || {
            let (after,): (i64,) = sqlx::query_as(reads)
                .fetch_one(&mut watching)
                .await
                .unwrap();
            read = after - before;
            read >= i64::from(SESSIONS)
        },
    )
    .await;
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let per_second = read as f64 / taken.as_secs_f64();
    report.line(
        "cold start, 100 000 live sessions, 64 clients: ledger reads",
        &format!("{read} in {taken:.1?}, {per_second:.0}/s"),
        "one per session, 32 at once",
        read < i64::from(SESSIONS) * 101 / 100,
    );
    report.line(
        "… and live sessions not recognised",
        &refused.to_string(),
        "0",
        refused == 0,
    );
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse().unwrap()
}

fn memory(report: &mut Report) {
    view_of(report, "ends of sessions", |session, _| {
        Revocation::SessionEnded(session)
    });
    view_of(report, "ends of users' sessions", |spared, user| {
        Revocation::UserEnded {
            user,
            spared: Some(spared),
        }
    });
}

fn view_of(report: &mut Report, what: &str, revocation: impl Fn(SessionId, UserId) -> Revocation) {
    const ENTRIES: u64 = 1_000_000;
    const PROMISED_MIB: u64 = 64;
    let before = resident_kib();
    let mut most = before;
    let head = Head {
        number: LogNumber::default(),
        mark: Mark([0; 16]),
    };
    let mut view = View::starting_at(head, usize::try_from(ENTRIES).unwrap());
    for number in 1..=ENTRIES {
        let at = Timestamp::from_millis(number.cast_signed());
        let mut entropy = [0; 10];
        entropy[..8].copy_from_slice(&number.to_be_bytes());
        let entry = Entry {
            number: LogNumber::new(number),
            mark: Mark(u128::from(number).to_be_bytes()),
            revocation: revocation(SessionId::new(at, entropy), UserId::new(at, entropy)),
        };
        view.advance(&[entry]).unwrap();
        if number % 1000 == 0 {
            most = most.max(resident_kib());
        }
    }
    let mib = (most - before) / 1024;
    report.line(
        &format!("memory of the view after 1 000 000 {what}, at the most"),
        &format!("{mib} MiB"),
        "≤ 64 MiB",
        mib <= PROMISED_MIB,
    );
    drop(view);
}
