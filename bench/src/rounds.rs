//! Rounds in which every contender has its turn, so that whatever else the machine
//! does falls on all of them. Ratios are of one round's figures; what is reported is
//! the median.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::load::{Pace, Target, Until, load};
use crate::process::Process;

/// Many and short: what else the machine does comes and goes within seconds.
const ROUNDS: usize = 15;
const CONNECTIONS: usize = 50;
const TURN: Duration = Duration::from_millis(700);
const WARM_UP: Duration = Duration::from_secs(1);

pub struct Contender<'a> {
    pub name: &'static str,
    pub process: &'a Process,
    pub target: Target,
}

/// Figures by contender, in the order given, and by round.
pub struct Rounds {
    /// Of the server, in µs per request.
    cpu: Vec<Vec<f64>>,
    per_second: Vec<Vec<f64>>,
}

pub fn rounds(contenders: &[Contender<'_>]) -> Result<Rounds> {
    let count = contenders.len();
    let mut rounds = Rounds {
        cpu: vec![Vec::new(); count],
        per_second: vec![Vec::new(); count],
    };
    for contender in contenders {
        turn(contender, WARM_UP)?;
    }
    for round in 0..ROUNDS {
        for place in 0..count {
            let index = (round + place) % count;
            let (cpu, per_second) = turn(&contenders[index], TURN)?;
            rounds.cpu[index].push(cpu);
            rounds.per_second[index].push(per_second);
        }
    }
    Ok(rounds)
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
    /// Of the same contenders.
    pub fn append(&mut self, other: Self) {
        for (own, more) in [
            (&mut self.cpu, other.cpu),
            (&mut self.per_second, other.per_second),
        ] {
            for (own, more) in own.iter_mut().zip(more) {
                own.extend(more);
            }
        }
    }

    pub fn cpu(&self, of: usize) -> f64 {
        median(self.cpu[of].clone())
    }

    pub fn cpu_by_round(&self, of: usize) -> Vec<f64> {
        self.cpu[of].clone()
    }

    pub fn per_second(&self, of: usize) -> f64 {
        median(self.per_second[of].clone())
    }

    pub fn cpu_ratio(&self, of: usize, to: usize) -> f64 {
        ratio(&self.cpu[of], &self.cpu[to])
    }

    pub fn speed_ratio(&self, of: usize, to: usize) -> f64 {
        ratio(&self.per_second[of], &self.per_second[to])
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
