//! What instances cost what they share, by how many they are: what a heartbeat weighs
//! and costs Redis and whoever hears it, what a poll costs PostgreSQL, and whole fleets
//! that beat at their pace through a real Redis. `docs/capacity.md` reckons with it.
//!
//! ```sh
//! cargo bench --bench fleet
//! cargo bench --bench fleet -- whole
//! ```
//!
//! Runs on Linux.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and one that cannot go on has failed"
)]

#[path = "../tests/support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the tests stand on the rest of it"
)]
mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gatelodge::config::secret_key;
use gatelodge::domain::id::InstanceId;
use gatelodge::domain::instance::{Beat, BeatNumber};
use gatelodge::domain::keys::KeyRing;
use gatelodge::domain::revocation::{Head, LogNumber, Mark, MarkPrefix, Vouched};
use gatelodge::domain::roster::Roster;
use gatelodge::domain::time::{Timestamp, Uptime};
use gatelodge::domain::view::View;
use gatelodge::startup::generate_key;
use gatelodge::store::bus::{Bus, Signal};
use gatelodge::store::ledger::{Ledger, LogReader};
use gatelodge::store::redis::Redis;
use rustix::time::{ClockId, clock_gettime};
use sqlx::{Connection as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use support::servers::{OwnPostgres, OwnRedis};

/// The default of `session.poll_interval`.
const INTERVAL: Duration = Duration::from_millis(500);
const PREFIX: &str = "fleet";
const PATIENCE: Duration = Duration::from_secs(10);

/// After a day or so.
const AGE: u64 = 200_000;

fn main() {
    let named: Vec<_> = std::env::args()
        .skip(1)
        .filter(|name| !name.starts_with('-'))
        .collect();
    let is_wanted = |name: &str| named.is_empty() || named.iter().any(|named| named == name);
    if is_wanted("beats") {
        beats();
    }
    if is_wanted("polls") {
        run(polls());
    }
    if is_wanted("whole") {
        whole();
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

fn id(number: usize) -> InstanceId {
    let mut entropy = [0; 10];
    entropy[..8].copy_from_slice(&number.to_be_bytes());
    InstanceId::new(Timestamp::from_millis(1_800_000_000_000), entropy)
}

/// One beat of each, as those say who hear all the others, or who hear nobody.
fn beats_of(instances: usize, hear_each_other: bool) -> Vec<Beat> {
    let beat = |number| Beat {
        instance: id(number),
        number: BeatNumber::new(AGE),
        reached: Vouched {
            number: LogNumber::new(0),
            mark: MarkPrefix([0; 4]),
        },
        is_last: false,
        heard: (0..instances)
            .filter(|other| hear_each_other && *other != number)
            .map(|other| (id(other), BeatNumber::new(AGE)))
            .collect(),
    };
    (0..instances).map(beat).collect()
}

fn keys() -> Arc<KeyRing> {
    let key = secret_key(&generate_key()).unwrap();
    Arc::new(KeyRing::new(&key, &[]))
}

fn bus(url: &str, keys: &Arc<KeyRing>) -> Bus {
    Bus::new(
        Redis::new(url, None, PATIENCE).unwrap(),
        PREFIX,
        Arc::clone(keys),
    )
}

/// In seconds, as all times on a processor here.
fn thread_cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn micros(seconds: f64, of: usize) -> f64 {
    seconds * 1e6 / of as f64
}

/// What Redis says of itself.
struct Usage {
    cpu: f64,
    sent: f64,
}

async fn usage(redis: &OwnRedis) -> Usage {
    let info: String = redis::from_redis_value(redis.command(&["INFO", "all"]).await).unwrap();
    let field = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(field, _)| *field == name).unwrap().1
    };
    let number = |name| field(name).parse::<f64>().unwrap();
    Usage {
        cpu: number("used_cpu_user") + number("used_cpu_sys"),
        sent: number("total_net_output_bytes"),
    }
}

/// Who listens, and looks at nothing; what they have been sent, in bytes.
struct Audience {
    heard: Arc<AtomicUsize>,
    _ends: mpsc::Sender<()>,
}

impl Audience {
    /// Of so many, all of whom listen by now.
    fn of(listeners: usize, redis: &OwnRedis) -> Self {
        let (heard, address) = (Arc::new(AtomicUsize::new(0)), redis.address());
        let (ends, mut ended) = mpsc::channel(1);
        let counter = Arc::clone(&heard);
        let (ready, all_ready) = std::sync::mpsc::channel();
        thread::spawn(move || {
            run(async move {
                for _ in 0..listeners {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    let subscribe = format!("SUBSCRIBE {PREFIX}:signals\r\n");
                    stream.write_all(subscribe.as_bytes()).await.unwrap();
                    let mut chunk = vec![0; 64 * 1024];
                    assert_ne!(stream.read(&mut chunk).await.unwrap(), 0);
                    let counter = Arc::clone(&counter);
                    tokio::spawn(async move {
                        while let Ok(length @ 1..) = stream.read(&mut chunk).await {
                            counter.fetch_add(length, Ordering::Relaxed);
                        }
                    });
                }
                ready.send(()).unwrap();
                ended.recv().await;
            });
        });
        all_ready.recv().unwrap();
        Self { heard, _ends: ends }
    }

    fn heard(&self) -> usize {
        self.heard.load(Ordering::Relaxed)
    }
}

/// What one beat weighs, and costs Redis and each who hears it.
fn beats() {
    println!(
        "\n| instances | beat | bytes | Redis, CPU per listener | who hears it, CPU | and judges by it |\n\
         |--:|---|--:|--:|--:|--:|"
    );
    for instances in [10, 100, 300, 1000] {
        for hear_each_other in [true, false] {
            let beats = beats_of(instances, hear_each_other);
            let (bytes, in_redis) = cost_to_redis(&beats);
            let (heard, judged) = cost_to_listener(&beats);
            let kind = if hear_each_other {
                "as it is"
            } else {
                "without a list"
            };
            println!(
                "| {instances} | {kind} | {bytes} | {in_redis:.2} µs | {heard:.1} µs | {judged:.1} µs |"
            );
        }
    }
}

const LISTENERS: usize = 100;

/// One after the other, each once the last was heard by all.
fn cost_to_redis(beats: &[Beat]) -> (usize, f64) {
    const BEATS: usize = 400;
    let redis = OwnRedis::start();
    let audience = Audience::of(LISTENERS, &redis);
    run(async {
        let bus = bus(&redis.url(), &keys());
        bus.tell(&Signal::Beat(beats[0].clone())).await.unwrap();
        let length = heard_by_all(&audience, 0, LISTENERS).await;
        let before = usage(&redis).await;
        for beat in beats.iter().cycle().take(BEATS) {
            let heard = audience.heard();
            bus.tell(&Signal::Beat(beat.clone())).await.unwrap();
            heard_by_all(&audience, heard, length * LISTENERS).await;
        }
        let cpu = usage(&redis).await.cpu - before.cpu;
        (length, micros(cpu, BEATS * LISTENERS))
    })
}

/// How much each has heard by the time that all together have heard `least` more and
/// nothing comes any more.
async fn heard_by_all(audience: &Audience, from: usize, least: usize) -> usize {
    let mut so_far = from;
    loop {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let heard = audience.heard();
        if heard == so_far && heard >= from + least {
            return (heard - from) / LISTENERS;
        }
        so_far = heard;
    }
}

/// On the thread that listens: to open it and take it in, and besides to find out what
/// it proves, as is done while the ledger is silent.
fn cost_to_listener(beats: &[Beat]) -> (f64, f64) {
    const BEATS: usize = 1000;
    const AHEAD: usize = 20;
    let (redis, keys) = (OwnRedis::start(), keys());
    let (url, listener_keys) = (redis.url(), Arc::clone(&keys));
    let (own, instances) = (id(beats.len()), beats.len());
    let (ready, is_ready) = std::sync::mpsc::channel();
    let opened = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&opened);
    let listens = thread::spawn(move || {
        let mut roster = Roster::new(own);
        let at = Uptime::from_start(Duration::from_secs(1));
        run(async {
            let bus = bus(&url, &listener_keys);
            let mut listener = bus.listen().await.unwrap();
            ready.send(()).unwrap();
            let begun = thread_cpu();
            for _ in 0..BEATS {
                let Signal::Beat(beat) = listener.next().await.unwrap() else {
                    unreachable!()
                };
                roster.hear(&beat, at);
                counter.fetch_add(1, Ordering::Relaxed);
            }
            let to_hear = thread_cpu() - begun;
            let head = Head {
                number: LogNumber::new(0),
                mark: Mark([0; 16]),
            };
            let view = View::starting_at(head, 1000);
            let asked = roster.ask(at);
            roster.enrol(&[], true, asked, at);
            let mine = roster.beat(view.stands_at(), false, at);
            roster.hear(&mine, at);
            for other in 0..instances {
                roster.hear(&answer(other, &mine), at);
            }
            assert_eq!(roster.proven(&view), Some(at));
            let begun = thread_cpu();
            for _ in 0..BEATS {
                std::hint::black_box(roster.proven(&view));
            }
            (micros(to_hear, BEATS), micros(thread_cpu() - begun, BEATS))
        })
    });
    is_ready.recv().unwrap();
    run(async {
        let bus = bus(&redis.url(), &keys);
        let mut numbers = AGE..;
        for (told, beat) in beats.iter().cycle().enumerate() {
            // Redis ends connections on which too much waits.
            while told > opened.load(Ordering::Relaxed) + AHEAD && !listens.is_finished() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if listens.is_finished() {
                break;
            }
            let number = BeatNumber::new(numbers.next().unwrap());
            let beat = Beat {
                number,
                ..beat.clone()
            };
            bus.tell(&Signal::Beat(beat)).await.unwrap();
        }
    });
    listens.join().unwrap()
}

/// Long after all the others were heard, somebody answers a beat.
fn answer(number: usize, beat: &Beat) -> Beat {
    Beat {
        instance: id(number),
        number: BeatNumber::new(3 * AGE),
        heard: vec![(beat.instance, beat.number)],
        ..beat.clone()
    }
}

/// What a poll costs PostgreSQL: CPU time of the process that serves it.
async fn polls() {
    const POLLS: usize = 1000;
    let postgres = OwnPostgres::start();
    let ledger = Ledger::connect(&postgres.url(), 1).await.unwrap();
    ledger.migrate().await.unwrap();
    println!("\n| registered | PostgreSQL, CPU per poll |\n|--:|--:|");
    let mut reader = ledger.log_reader().await.unwrap();
    let mut registered = 0;
    for instances in [1, 10, 100, 1000] {
        while registered < instances {
            reader.enrol(id(registered)).await.unwrap();
            registered += 1;
        }
        let process = backend(&postgres).await;
        poll(&mut reader, 100).await;
        let before = cpu_of(process);
        poll(&mut reader, POLLS).await;
        let cost = micros(cpu_of(process) - before, POLLS);
        println!("| {instances} | {cost:.0} µs |");
    }
}

async fn poll(reader: &mut LogReader, times: usize) {
    for _ in 0..times {
        reader.read(Some(LogNumber::new(0))).await.unwrap();
        reader.registered().await.unwrap();
    }
}

/// The process that serves the one connection that reads the log.
async fn backend(postgres: &OwnPostgres) -> i32 {
    let connection = PgConnection::connect(&postgres.url()).await;
    let process =
        sqlx::query_scalar("select pid from pg_stat_activity where application_name = 'gatelodge'");
    process.fetch_one(&mut connection.unwrap()).await.unwrap()
}

fn cpu_of(process: i32) -> f64 {
    let path = format!("/proc/{process}/schedstat");
    let text = std::fs::read_to_string(path).expect("a kernel that keeps schedstat");
    let nanos: f64 = text.split(' ').next().unwrap().parse().unwrap();
    nanos / 1e9
}

/// Fleets that beat at their pace: what it costs Redis, and how late beats are heard.
fn whole() {
    println!(
        "\n| instances | beat | deliveries/s | Redis sends | Redis, of a core | heard after, p50 | p99 |\n\
         |--:|---|--:|--:|--:|--:|--:|"
    );
    for instances in [3, 10, 30, 100, 200] {
        for hear_each_other in [true, false] {
            let kind = if hear_each_other {
                "as it is"
            } else {
                "without a list"
            };
            let Found {
                deliveries,
                bytes,
                cpu,
                delays,
            } = fleet(&beats_of(instances, hear_each_other));
            let at = |percent: usize| delays[(delays.len() - 1) * percent / 100];
            println!(
                "| {instances} | {kind} | {deliveries:.0} | {:.2} MB/s | {:.1} % | {:.1?} | {:.1?} |",
                bytes / 1e6,
                cpu * 100.0,
                at(50),
                at(99),
            );
        }
    }
}

struct Found {
    deliveries: f64,
    bytes: f64,
    cpu: f64,
    delays: Vec<Duration>,
}

/// All of them tell; one opens what it hears, the others only take it.
fn fleet(beats: &[Beat]) -> Found {
    const TIME: Duration = Duration::from_secs(5);
    let (redis, keys) = (OwnRedis::start(), keys());
    let audience = Audience::of(beats.len() - 1, &redis);
    let told: Arc<Mutex<HashMap<(InstanceId, u64), Instant>>> = Arc::default();
    let (url, listener_keys, when) = (redis.url(), Arc::clone(&keys), Arc::clone(&told));
    let (ready, is_ready) = std::sync::mpsc::channel();
    let listens = thread::spawn(move || {
        run(async {
            let mut listener = bus(&url, &listener_keys).listen().await.unwrap();
            ready.send(()).unwrap();
            let mut delays = Vec::new();
            while let Ok(Ok(Signal::Beat(beat))) =
                tokio::time::timeout(2 * INTERVAL, listener.next()).await
            {
                let told_at = when
                    .lock()
                    .unwrap()
                    .remove(&(beat.instance, beat.number.get()));
                delays.push(told_at.unwrap().elapsed());
            }
            delays
        })
    });
    is_ready.recv().unwrap();
    let before = run(usage(&redis));
    let (begun, beats_at_all) = (Instant::now(), beats.len());
    run(async {
        let bus = Arc::new(bus(&redis.url(), &keys));
        let all = beats.iter().enumerate().map(|(position, beat)| {
            let (bus, told, beat) = (Arc::clone(&bus), Arc::clone(&told), beat.clone());
            tokio::spawn(async move {
                let offset = INTERVAL.mul_f64(position as f64 / beats_at_all as f64);
                tokio::time::sleep(offset).await;
                for number in (AGE + 1).. {
                    if begun.elapsed() > TIME {
                        break;
                    }
                    let number = BeatNumber::new(number);
                    told.lock()
                        .unwrap()
                        .insert((beat.instance, number.get()), Instant::now());
                    let next = Beat {
                        number,
                        ..beat.clone()
                    };
                    bus.tell(&Signal::Beat(next)).await.unwrap();
                    tokio::time::sleep(INTERVAL).await;
                }
            })
        });
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap();
        }
    });
    let taken = begun.elapsed().as_secs_f64();
    let mut delays = listens.join().unwrap();
    let after = run(usage(&redis));
    delays.sort();
    drop(audience);
    Found {
        deliveries: (delays.len() * beats.len()) as f64 / taken,
        bytes: (after.sent - before.sent) / taken,
        cpu: (after.cpu - before.cpu) / taken,
        delays,
    }
}
