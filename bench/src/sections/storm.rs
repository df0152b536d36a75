//! Checks while everybody logs in.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gatelodge::accounts::time_of_one_hash;
use gatelodge::domain::password::Cost;
use serde_json::json;

use crate::http::Client;
use crate::load::{Load, Pace, Target, Until, load};
use crate::process::{COUNT, Cores, Process};
use crate::report::{Figure, Results};
use crate::rounds::median;
use crate::stand::{PASSWORD, Stand, WHOAMI, build_service, email, name};

pub const ABOUT: &str = "\
The service as shipped, with as many workers as there are cores, on all of them, beside
Redis, PostgreSQL and the load; bcrypt at the default cost of 12. Checks come at 1000 a
second and are timed from when they were meant to be sent; 20 loops log in, each waiting
as long as a refusal says. Five rounds, quiet and stormy; medians.";

const ROUNDS: usize = 5;
const CHECKS: Pace = Pace::PerSecond(1000);
const CONNECTIONS: usize = 8;
const LOOPS: usize = 20;
const QUIET: Duration = Duration::from_secs(3);
/// Until as many log-ins are waiting as may.
const GATHERING: Duration = Duration::from_secs(2);
const STORM: Duration = Duration::from_secs(6);
const COST: u32 = 12;

/// Who is asked, and who logs in meanwhile.
pub(super) struct Scene {
    pub checks: Target,
    pub log_in_path: &'static str,
    /// In turn, one for each loop.
    pub emails: Vec<String>,
}

impl Scene {
    pub fn of_ours(service: &Process, emails: Vec<String>) -> Result<Self> {
        let (address, log_in_path) = (service.address, "/api/login");
        let cookies = emails
            .iter()
            .map(|email| log_in(address, log_in_path, email));
        Ok(Self {
            checks: Target {
                address,
                path: WHOAMI,
                cookies: cookies.collect::<Result<_>>()?,
                expected: 200,
            },
            log_in_path,
            emails,
        })
    }
}

/// Medians of all rounds.
pub(super) struct Weather {
    pub quiet_p99: Duration,
    pub storm_p99: Duration,
    pub log_ins_per_second: f64,
}

pub fn run() -> Result<Results> {
    build_service()?;
    Cores::All.keep_to()?;
    let stand = Stand::start()?;
    let cost = Cost::new(COST).context("a cost")?;
    let hashes = (0..5)
        .map(|_| time_of_one_hash(cost).as_secs_f64())
        .collect();
    let one_hash = median(hashes);
    let mut figures = vec![Figure::plain(
        "one hash",
        format!("{:.0} ms", one_hash * 1e3),
    )];

    let spare_one = COUNT.saturating_sub(1).max(1);
    let mut emails = Vec::new();
    for (threads, is_default) in [(spare_one, true), (*COUNT, false)] {
        let concurrency = threads.to_string();
        let settings = [("GATELODGE_PASSWORD__HASH_CONCURRENCY", concurrency.as_str())];
        let service = stand.service(Cores::All, if is_default { &[] } else { &settings })?;
        if emails.is_empty() {
            emails = registered(service.address)?;
        }
        let weather = weather(&Scene::of_ours(&service, emails.clone())?)?;
        figures.extend(figures_of(&weather, threads, one_hash, is_default));
    }
    Ok(Results {
        comparison: None,
        costs: Vec::new(),
        figures,
    })
}

fn figures_of(weather: &Weather, threads: usize, one_hash: f64, is_default: bool) -> Vec<Figure> {
    let Weather {
        quiet_p99,
        storm_p99,
        log_ins_per_second,
    } = weather;
    #[expect(clippy::cast_precision_loss, reason = "a handful of threads")]
    let possible = threads as f64 / one_hash;
    let which = if is_default {
        format!("hashing threads: {threads}, the default")
    } else {
        format!("hashing threads: {threads}, all cores")
    };
    let quiet = Figure::plain(
        format!("check p99, quiet ({which})"),
        format!("{quiet_p99:.1?}"),
    );
    let what = format!("check p99, in the storm ({which})");
    let measured = format!("{storm_p99:.1?}");
    let rate = format!("log-ins per second ({which})");
    let share = log_ins_per_second / possible;
    let what_share = format!("… to as many as the threads can hash ({which})");
    let rate = Figure::plain(rate, format!("{log_ins_per_second:.1}"));
    if is_default {
        let is_kept = *storm_p99 <= (*quiet_p99 * 2).max(Duration::from_millis(5));
        let limit = "≤ 2 × quiet, or ≤ 5 ms".to_owned();
        vec![
            quiet,
            Figure::with_bar(what, measured, limit, is_kept),
            rate,
            Figure::at_least(what_share, share, 0.95, " ×"),
        ]
    } else {
        vec![
            quiet,
            Figure::plain(what, measured),
            rate,
            Figure::plain(what_share, format!("{share:.2} ×")),
        ]
    }
}

/// New users, whose passwords are hashed at the service's own cost.
pub(super) fn registered(address: SocketAddr) -> Result<Vec<String>> {
    let mut client = Client::connect(address)?;
    let register = |number| {
        let body = json!({ "email": email(number), "name": name(number), "password": PASSWORD });
        let answer = client.post("/api/register", &body)?;
        ensure!(answer.status == 201, "not registered: {}", answer.text());
        Ok(email(number))
    };
    (0..LOOPS).map(register).collect()
}

/// The cookies of a new session.
pub(super) fn log_in(address: SocketAddr, path: &str, email: &str) -> Result<String> {
    let body = json!({ "email": email, "password": PASSWORD });
    let answer = Client::connect(address)?.post(path, &body)?;
    ensure!(answer.status == 200, "not logged in: {}", answer.text());
    Ok(answer.cookies("/"))
}

pub(super) fn weather(scene: &Scene) -> Result<Weather> {
    let check = |time| load(&scene.checks, CONNECTIONS, CHECKS, Until::Passed(time));
    let p99 = |load: &Load| load.percentile(99).as_secs_f64();
    let (mut quiet, mut stormy, mut log_ins) = (Vec::new(), Vec::new(), Vec::new());
    check(QUIET)?;
    for _ in 0..ROUNDS {
        quiet.push(p99(&check(QUIET)?));
        let (load, rate) = storm(scene, || check(STORM))?;
        stormy.push(p99(&load));
        log_ins.push(rate);
    }
    Ok(Weather {
        quiet_p99: Duration::from_secs_f64(median(quiet)),
        storm_p99: Duration::from_secs_f64(median(stormy)),
        log_ins_per_second: median(log_ins),
    })
}

/// What is measured while all loops log in, and how many log-ins a second succeed.
fn storm(scene: &Scene, measure: impl FnOnce() -> Result<Load>) -> Result<(Load, f64)> {
    let (is_over, (succeeded, successes)) = (AtomicBool::new(false), channel());
    thread::scope(|scope| {
        let loops: Vec<_> = (0..LOOPS)
            .map(|number| {
                let (succeeded, is_over) = (succeeded.clone(), &is_over);
                scope.spawn(move || log_in_until(scene, number, is_over, &succeeded))
            })
            .collect();
        thread::sleep(GATHERING);
        let before = successes.try_iter().count();
        let load = measure();
        let times: Vec<Instant> = successes.try_iter().collect();
        is_over.store(true, Ordering::Relaxed);
        for each in loops {
            let ended = each.join();
            ended.map_err(|_| anyhow::anyhow!("a log-in loop has panicked"))??;
        }
        ensure!(before > 0, "nobody could log in");
        Ok((load?, rate(&times)?))
    })
}

/// From the first to the last, so that none counts in part.
#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
fn rate(times: &[Instant]) -> Result<f64> {
    let (first, last) = times
        .iter()
        .min()
        .zip(times.iter().max())
        .context("no log-ins")?;
    ensure!(last > first, "too few log-ins");
    Ok((times.len() - 1) as f64 / (*last - *first).as_secs_f64())
}

fn log_in_until(
    scene: &Scene,
    number: usize,
    is_over: &AtomicBool,
    succeeded: &Sender<Instant>,
) -> Result<()> {
    let email = &scene.emails[number % scene.emails.len()];
    let body = json!({ "email": email, "password": PASSWORD });
    while !is_over.load(Ordering::Relaxed) {
        // A connection each, since a refusal's wait may outlast one kept alive.
        let answer = Client::connect(scene.checks.address)?.post(scene.log_in_path, &body)?;
        match (answer.status, answer.header("retry-after")) {
            (200, _) => succeeded.send(Instant::now())?,
            (503 | 429, Some(seconds)) => thread::sleep(Duration::from_secs(seconds.parse()?)),
            _ => anyhow::bail!("an odd answer to a log-in: {}", answer.text()),
        }
    }
    Ok(())
}
