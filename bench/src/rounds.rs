//! Rounds in which every contender has its turn, so that whatever else the machine
//! does falls on all of them. Ratios are of one round's figures; what is reported is
//! the median.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::http::Client;
use crate::load::{Pace, Target, Until, load};
use crate::process::Process;
use crate::report::Cost;

/// Many and short: what else the machine does comes and goes within seconds.
const ROUNDS: usize = 15;
/// Where a process has its memory makes it faster or slower than another of the same
/// program, for as long as it lives.
const STARTS: usize = 5;
const ROUNDS_OF_ONE_START: usize = 7;
const CONNECTIONS: usize = 50;
const TURN: Duration = Duration::from_millis(700);
const WARM_UP: Duration = Duration::from_secs(1);

pub struct Contender<'a> {
    pub name: &'static str,
    pub process: &'a Process,
    pub target: Target,
}

/// Figures by contender, in the order given.
pub struct Rounds(Vec<Figures>);

struct Figures {
    name: &'static str,
    /// Of a whole answer.
    bytes: usize,
    /// Of the server, in µs per request, by round.
    cpu: Vec<f64>,
    per_second: Vec<f64>,
}

/// Rounds with processes that live through all of them.
pub fn rounds(contenders: &[Contender<'_>]) -> Result<Rounds> {
    so_many(ROUNDS, contenders)
}

/// Rounds of several starts: each time, `rounds_of_one` starts all processes anew.
pub fn rounds_of_starts(mut rounds_of_one: impl FnMut() -> Result<Rounds>) -> Result<Rounds> {
    let mut all = rounds_of_one()?;
    for _ in 1..STARTS {
        let others = rounds_of_one()?;
        for (own, more) in all.0.iter_mut().zip(others.0) {
            ensure!(own.bytes == more.bytes, "{}: another answer", own.name);
            own.cpu.extend(more.cpu);
            own.per_second.extend(more.per_second);
        }
    }
    Ok(all)
}

pub fn rounds_of_one_start(contenders: &[Contender<'_>]) -> Result<Rounds> {
    so_many(ROUNDS_OF_ONE_START, contenders)
}

fn so_many(count: usize, contenders: &[Contender<'_>]) -> Result<Rounds> {
    let first = |contender| {
        let bytes = answer_length(contender)?;
        turn(contender, WARM_UP)?;
        Ok(Figures {
            name: contender.name,
            bytes,
            cpu: Vec::new(),
            per_second: Vec::new(),
        })
    };
    let mut figures = contenders.iter().map(first).collect::<Result<Vec<_>>>()?;
    for round in 0..count {
        for place in 0..contenders.len() {
            let index = (round + place) % contenders.len();
            let (cpu, per_second) = turn(&contenders[index], TURN)?;
            figures[index].cpu.push(cpu);
            figures[index].per_second.push(per_second);
        }
    }
    Ok(Rounds(figures))
}

fn answer_length(contender: &Contender<'_>) -> Result<usize> {
    let Target {
        address,
        path,
        cookies,
        expected,
    } = &contender.target;
    let answer = Client::connect(*address)?.get(path, &cookies[0])?;
    let (name, text) = (contender.name, answer.text());
    ensure!(answer.status == *expected, "{name}: {text}");
    Ok(answer.length())
}

/// CPU time per request in µs, and requests per second.
#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
fn turn(contender: &Contender<'_>, time: Duration) -> Result<(f64, f64)> {
    let Contender {
        name,
        process,
        target,
    } = contender;
    let before = process.cpu_time()?;
    let load = load(target, CONNECTIONS, Pace::Closed, Until::Passed(time))
        .with_context(|| format!("the benchmark has failed at: {name}"))?;
    let cpu = process.cpu_time()?.saturating_sub(before);
    Ok((
        cpu.as_secs_f64() * 1e6 / load.answers as f64,
        load.per_second(),
    ))
}

impl Rounds {
    /// Of each: what it costs, and how many times as much as some others, by their names.
    pub fn costs(&self, ours: &[usize], to: &[(&str, usize)]) -> Vec<Cost> {
        let cost = |(index, of): (usize, &Figures)| Cost {
            name: of.name.to_owned(),
            is_ours: ours.contains(&index),
            cpu_us: self.cpu(index),
            cpu_us_by_round: of.cpu.clone(),
            per_second: self.per_second(index),
            bytes: of.bytes,
            times: to
                .iter()
                .map(|(name, other)| ((*name).to_owned(), self.cpu_ratio(index, *other)))
                .collect(),
        };
        self.0.iter().enumerate().map(cost).collect()
    }

    pub fn bytes(&self, of: usize) -> usize {
        self.0[of].bytes
    }

    pub fn cpu(&self, of: usize) -> f64 {
        median(self.0[of].cpu.clone())
    }

    pub fn cpu_by_round(&self, of: usize) -> Vec<f64> {
        self.0[of].cpu.clone()
    }

    pub fn per_second(&self, of: usize) -> f64 {
        median(self.0[of].per_second.clone())
    }

    pub fn cpu_ratio(&self, of: usize, to: usize) -> f64 {
        ratio(&self.0[of].cpu, &self.0[to].cpu)
    }

    pub fn speed_ratio(&self, of: usize, to: usize) -> f64 {
        ratio(&self.0[of].per_second, &self.0[to].per_second)
    }
}

fn ratio(of: &[f64], to: &[f64]) -> f64 {
    median(of.iter().zip(to).map(|(of, to)| of / to).collect())
}

pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 {
        figures[middle]
    } else {
        f64::midpoint(figures[middle - 1], figures[middle])
    }
}
