//! What users would pick instead. Each peer is a folder in `bench/peers/` with two
//! programs: `prepare`, which installs what is pinned there, and
//! `serve PORT REDIS_URL DATA_DIR`, which heeds `WORKERS=1`. It answers `POST /login`,
//! `GET /whoami` and, once it is ready, `GET /health`, with one process or one worker.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::storm::{Scene, Weather, log_in, registered, weather};
use crate::baselines::PATH;
use crate::http::Client;
use crate::load::Target;
use crate::process::{COUNT, Cores, OTHERS, Process, SERVER};
use crate::report::{Figure, Results, shown};
use crate::rounds::{Contender, Rounds, rounds};
use crate::stand::{Stand, WHOAMI, build_service, cookie, identity_length, root};
use crate::support::servers::free_port;

pub const ABOUT: &str = "\
Servers that others would write, from pinned packages, in `bench/peers/`: sessions in
Redis, bcrypt at cost 12. For checks, one worker alone on core 0, as in the first
section, and the service as shipped beside them; for log-ins, all cores.";

const PEERS: [&str; 4] = ["express", "better-auth", "axum", "django"];
const USER: &str = "ada@example.com";
const SESSIONS: usize = 20;
const OURS: &str = "Gatelodge";

pub fn run() -> Result<Results> {
    build_service()?;
    Cores::All.keep_to()?;
    let (prepared, missing): (Vec<_>, Vec<_>) = PEERS.into_iter().partition(|peer| prepare(peer));
    let mut results = checks(&prepared)?;
    if prepared.contains(&"express") {
        results.figures.extend(storms()?);
    }
    results.figures.extend(missing.into_iter().map(|peer| {
        Figure::with_bar(
            peer,
            "could not be prepared".to_owned(),
            "measured".to_owned(),
            false,
        )
    }));
    Ok(results)
}

fn folder(peer: &str) -> PathBuf {
    root().join("bench/peers").join(peer)
}

#[expect(clippy::print_stderr, reason = "says what is missing")]
fn prepare(peer: &str) -> bool {
    let prepared = Command::new(folder(peer).join("prepare"))
        .current_dir(folder(peer))
        .status();
    let is_done = prepared.is_ok_and(|status| status.success());
    if !is_done {
        eprintln!("{peer} cannot be prepared, and is left out");
    }
    is_done
}

fn serve(stand: &Stand, peer: &str, cores: Cores) -> Result<Process> {
    let data = stand.folder.path().join(peer);
    fs::create_dir_all(&data)?;
    let port = free_port();
    let mut command = cores.command(folder(peer).join("serve"));
    command
        .current_dir(folder(peer))
        .env("WORKERS", "1")
        .args([&port.to_string(), &stand.redis.url()])
        .arg(&data);
    let address = ([127, 0, 0, 1], port).into();
    let is_ready = || {
        let answer = Client::connect(address).and_then(|mut client| client.get("/health", ""));
        answer.is_ok_and(|answer| answer.status == 200)
    };
    Process::ready(command, &data.join("log"), address, is_ready)
}

fn sessions(process: &Process) -> Result<Vec<String>> {
    (0..SESSIONS)
        .map(|_| log_in(process.address, "/login", USER))
        .collect()
}

fn checks(prepared: &[&'static str]) -> Result<Results> {
    OTHERS.keep_to()?;
    let stand = Stand::start()?;
    let users = stand.logged_in(SESSIONS)?;
    let cookies: Vec<_> = users.iter().map(|issued| cookie(&issued.token)).collect();
    let service = stand.service(SERVER, &[("GATELODGE_SERVER__WORKERS", "1")])?;
    let length = identity_length(&service, &cookies[0])?;
    let (floor, passes) = stand.baseline("floor", length, &[])?;
    let mut processes = vec![
        ("no check (the floor)", floor, PATH, passes),
        (OURS, service, WHOAMI, cookies),
    ];
    for peer in prepared {
        let process = serve(&stand, peer, SERVER)?;
        let cookies = sessions(&process).with_context(|| format!("{peer} is not as agreed"))?;
        processes.push((*peer, process, "/whoami", cookies));
    }
    let contenders: Vec<_> = processes
        .iter()
        .map(|(name, process, path, cookies)| Contender {
            name,
            process,
            target: Target {
                address: process.address,
                path,
                cookies: cookies.clone(),
                expected: 200,
            },
        })
        .collect();
    let rounds = rounds(&contenders)?;
    Ok(Results {
        comparison: None,
        costs: rounds.costs(&[1], &[("floor", 0), (OURS, 1)]),
        figures: prepared
            .iter()
            .enumerate()
            .map(|(at, peer)| faster(&rounds, at + 2, peer))
            .collect(),
    })
}

fn faster(rounds: &Rounds, index: usize, peer: &str) -> Figure {
    let what = format!("checks/s, to {peer}");
    let times = rounds.speed_ratio(1, index);
    match peer {
        "express" => Figure::at_least(what, times, 15.0, " ×"),
        "axum" => Figure::at_least(what, times, 2.0, " ×"),
        _ => Figure::plain(what, shown(times, " ×")),
    }
}

/// All cores hash, there and here.
fn storms() -> Result<Vec<Figure>> {
    Cores::All.keep_to()?;
    let stand = Stand::start()?;
    let theirs = {
        let express = serve(&stand, "express", Cores::All)?;
        weather(&Scene {
            checks: Target {
                address: express.address,
                path: "/whoami",
                cookies: sessions(&express)?,
                expected: 200,
            },
            log_in_path: "/login",
            emails: vec![USER.to_owned()],
        })?
    };
    let ours = {
        let threads = COUNT.to_string();
        let threads = [("GATELODGE_PASSWORD__HASH_CONCURRENCY", threads.as_str())];
        let service = stand.service(Cores::All, &threads)?;
        let emails = registered(service.address)?;
        weather(&Scene::of_ours(&service, emails)?)?
    };
    let figures = |whose: &str, weather: &Weather| {
        [
            Figure::plain(
                format!("{whose}: check p99, quiet"),
                format!("{:.1?}", weather.quiet_p99),
            ),
            Figure::plain(
                format!("{whose}: check p99 while all cores hash"),
                format!("{:.1?}", weather.storm_p99),
            ),
            Figure::plain(
                format!("{whose}: log-ins per second"),
                format!("{:.1}", weather.log_ins_per_second),
            ),
        ]
    };
    let times = theirs.storm_p99.as_secs_f64() / ours.storm_p99.as_secs_f64();
    let mut all = Vec::from(figures(OURS, &ours));
    all.extend(figures("express", &theirs));
    all.push(Figure::at_least(
        "express's check p99 while all cores hash, to ours",
        times,
        15.0,
        " ×",
    ));
    Ok(all)
}
