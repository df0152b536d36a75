//! Sessions beside JWTs: what each costs, and what becomes of it when something goes
//! wrong. `docs/sessions-vs-jwt.md` says what it means.

mod feed;
mod minting;
mod side;
mod trials;
mod verifying;

use anyhow::Result;

use crate::baselines::{COOKIES, PATH, REFRESH};
use crate::load::Target;
use crate::process::{OTHERS, SERVER};
use crate::report::{Comparison, Results, Row};
use crate::rounds::{Contender, Rounds, rounds_of_one_start, rounds_of_starts};
use crate::stand::{Stand, WHOAMI, build_service, cookie, identity_length};
use side::{Kind, Side};

pub const ABOUT: &str = "\
The same app four times, as in the first section: with Gatelodge's gate (and, where it is
said, asking the service over HTTP), and with JWTs signed with HS256 (jsonwebtoken) that
live for 24 hours: nothing else; instead, 15 minutes and a refresh token, kept as a digest
in PostgreSQL and rotated at each use; or a list of the revoked in Redis, asked at each
check. CPU time: the server has one worker, alone on core 0. What else is said was tried,
with two instances of each over the same PostgreSQL and Redis; the run fails if anything
comes out otherwise than [the page that compares them](sessions-vs-jwt.md) says.";

const GATE: usize = 0;
const WHOAMI_ASKED: usize = 1;
const HS256: usize = 2;
const EDDSA: usize = 3;
const REFRESHED: usize = 4;
const DENYLIST: usize = 5;

/// How many refresh tokens are rotated, one after the other.
const ROTATIONS: u32 = 500;

pub fn run() -> Result<Results> {
    build_service()?;
    let mut figures = minting::figures()?;
    figures.extend(feed::figures()?);
    OTHERS.keep_to()?;
    let stand = Stand::start()?;
    let users = stand.logged_in(COOKIES)?;
    let cookies: Vec<_> = users.iter().map(|issued| cookie(&issued.token)).collect();
    let rounds = rounds_of_starts(|| started_anew(&stand, &cookies))?;
    let costs = rounds.costs(&[GATE, WHOAMI_ASKED], &[("JWT", HS256)]);
    let cpu = |of: usize| format!("{:.1} µs", costs[of].cpu_us);
    let (rotation, per_check) = (rotation(&stand)?, "CPU of a check".to_owned());
    let mut rows = vec![Row {
        what: per_check,
        cells: vec![
            format!("{}; asked over HTTP {}", cpu(GATE), cpu(WHOAMI_ASKED)),
            format!("{}; with EdDSA {}", cpu(HS256), cpu(EDDSA)),
            format!("{}; {rotation:.0} µs for each rotation", cpu(REFRESHED)),
            cpu(DENYLIST),
        ],
    }];
    rows.extend(trials::all(&stand)?.into_iter().map(|(what, cells)| Row {
        what: what.to_owned(),
        cells,
    }));
    Ok(Results {
        comparison: Some(Comparison {
            between: Kind::ALL.map(|kind| kind.name().to_owned()).into(),
            rows,
        }),
        costs,
        figures,
    })
}

/// Rounds with processes of which none was there before.
fn started_anew(stand: &Stand, cookies: &[String]) -> Result<Rounds> {
    let service = stand.service(SERVER, &[("GATELODGE_SERVER__WORKERS", "1")])?;
    let body_length = identity_length(&service, &cookies[0])?;
    let baseline = |name| stand.baseline(name, body_length, &[]);
    let (gate, _) = baseline(Kind::Session.baseline())?;
    let (hs256, tokens) = baseline(Kind::Jwt.baseline())?;
    let (eddsa, eddsa_tokens) = baseline("eddsa")?;
    let (refresh, refreshed) = baseline(Kind::Refresh.baseline())?;
    let (denylist, not_denied) = baseline(Kind::Denylist.baseline())?;
    let cookies = cookies.to_vec();
    let contenders = [
        ("session, Gatelodge's gate", &gate, PATH, cookies.clone()),
        ("session, asked over HTTP", &service, WHOAMI, cookies),
        ("JWT", &hs256, PATH, tokens),
        ("JWT, EdDSA", &eddsa, PATH, eddsa_tokens),
        ("JWT + refresh rotation", &refresh, PATH, refreshed),
        ("JWT + denylist", &denylist, PATH, not_denied),
    ]
    .map(|(name, process, path, cookies)| Contender {
        name,
        process,
        target: Target {
            address: process.address,
            path,
            cookies,
            expected: 200,
        },
    });
    rounds_of_one_start(&contenders)
}

/// CPU time of the server for a new pair of tokens, in µs.
fn rotation(stand: &Stand) -> Result<f64> {
    let side = Side::start(stand, Kind::Refresh)?;
    let mut cookies = side.log_in()?.at_exits;
    let (process, mut client) = side.first()?;
    let mut rotate = |cookies: &mut String| {
        let answer = client.post_as(cookies, REFRESH)?;
        *cookies = answer.cookies(REFRESH);
        anyhow::ensure!(answer.status == 200, "not rotated: {}", answer.text());
        Ok(())
    };
    rotate(&mut cookies)?;
    let before = process.cpu_time()?;
    for _ in 0..ROTATIONS {
        rotate(&mut cookies)?;
    }
    let cpu = process.cpu_time()?.saturating_sub(before);
    Ok(cpu.as_secs_f64() * 1e6 / f64::from(ROTATIONS))
}
