//! What one check costs.

use anyhow::{Result, ensure};

use crate::baselines::{COOKIES, PATH};
use crate::load::Target;
use crate::process::{OTHERS, Process, SERVER};
use crate::report::{Figure, Results};
use crate::rounds::{Contender, Rounds, rounds_of_one_start, rounds_of_starts};
use crate::stand::{Stand, WHOAMI, build_service, cookie, identity_length};

pub const ABOUT: &str = "\
The server has one worker, alone on core 0; the load (50 connections kept alive, 1000
cookies in turn), Redis and PostgreSQL share core 1. Every server is started five times,
for seven rounds each; medians. All but `whoami` give the same answer through the same
handler, the floor to anybody. Ratios are medians of ratios within one round each, not
quotients of the columns.";

const FLOOR: usize = 0;
const GATE: usize = 1;
const FORGED: usize = 2;
const MISS: usize = 3;
const SHIPPED: usize = 4;
const SHIPPED_FORGED: usize = 5;
const HS256: usize = 6;
const EDDSA: usize = 7;
const RS256: usize = 8;
const DENYLIST: usize = 9;
const ACTIX: usize = 10;
const OURS: [usize; 5] = [GATE, FORGED, MISS, SHIPPED, SHIPPED_FORGED];

pub fn run() -> Result<Results> {
    build_service()?;
    OTHERS.keep_to()?;
    let stand = Stand::start()?;
    let users = stand.logged_in(COOKIES)?;
    let cookies: Vec<_> = users.iter().map(|issued| cookie(&issued.token)).collect();
    let forged: Vec<_> = cookies.iter().map(|cookie| forged(cookie)).collect();

    let rounds = rounds_of_starts(|| started_anew(&stand, &cookies, &forged))?;
    for alike in [GATE, MISS, HS256, EDDSA, RS256, DENYLIST, ACTIX] {
        ensure!(
            rounds.bytes(alike) == rounds.bytes(FLOOR),
            "not as many bytes"
        );
    }
    let at_most =
        |what: &str, of, to, limit| Figure::at_most(what, rounds.cpu_ratio(of, to), limit, " ×");
    Ok(Results {
        comparison: None,
        costs: rounds.costs(&OURS, &[("floor", FLOOR), ("HS256", HS256)]),
        figures: vec![
            at_most("gate, to the floor", GATE, FLOOR, 1.15),
            at_most("gate, to HS256", GATE, HS256, 0.85),
            at_most(
                "gate with the copy in Redis only, to the floor",
                MISS,
                FLOOR,
                1.7,
            ),
            at_most("gate with a forged cookie, to the gate", FORGED, GATE, 1.05),
            at_most(
                "whoami with a forged cookie, to whoami",
                SHIPPED_FORGED,
                SHIPPED,
                1.05,
            ),
        ],
    })
}

/// Rounds with processes of which none was there before.
fn started_anew(stand: &Stand, cookies: &[String], forged: &[String]) -> Result<Rounds> {
    let one_worker = [("GATELODGE_SERVER__WORKERS", "1")];
    let service = stand.service(SERVER, &one_worker)?;
    let body_length = identity_length(&service, &cookies[0])?;
    let no_cache = [("GATELODGE_SESSION__CACHE_CAPACITY", "1")];
    let baseline = |name, settings: &[_]| stand.baseline(name, body_length, settings);
    let (floor, passes) = baseline("floor", &[])?;
    let (gate, _) = baseline("gate", &[])?;
    let (miss, _) = baseline("gate", &no_cache)?;
    let (hs256, hs256_tokens) = baseline("hs256", &[])?;
    let (eddsa, eddsa_tokens) = baseline("eddsa", &[])?;
    let (rs256, rs256_tokens) = baseline("rs256", &[])?;
    let (denylist, denylist_tokens) = baseline("denylist", &[])?;
    let (actix, actix_cookies) = baseline("actix-session", &[])?;
    let (cookies, forged) = (cookies.to_vec(), forged.to_vec());
    rounds_of_one_start(&[
        contender("no check (the floor)", &floor, PATH, passes, 200),
        contender("gate", &gate, PATH, cookies.clone(), 200),
        contender("gate, forged cookie", &gate, PATH, forged.clone(), 401),
        contender(
            "gate, copy in Redis only",
            &miss,
            PATH,
            cookies.clone(),
            200,
        ),
        contender(
            "whoami, the service as shipped",
            &service,
            WHOAMI,
            cookies,
            200,
        ),
        contender("whoami, forged cookie", &service, WHOAMI, forged, 401),
        contender("JWT, HS256", &hs256, PATH, hs256_tokens, 200),
        contender("JWT, EdDSA", &eddsa, PATH, eddsa_tokens, 200),
        contender("JWT, RS256", &rs256, PATH, rs256_tokens, 200),
        contender(
            "JWT, HS256 and a denylist in Redis",
            &denylist,
            PATH,
            denylist_tokens,
            200,
        ),
        contender("actix-session in Redis", &actix, PATH, actix_cookies, 200),
    ])
}

fn contender<'a>(
    name: &'static str,
    process: &'a Process,
    path: &'static str,
    cookies: Vec<String>,
    expected: u16,
) -> Contender<'a> {
    Contender {
        name,
        process,
        target: Target {
            address: process.address,
            path,
            cookies,
            expected,
        },
    }
}

/// Well-formed, with a MAC that is not ours: its last character is another.
fn forged(cookie: &str) -> String {
    let (rest, last) = cookie.split_at(cookie.len() - 1);
    let other = if last == "A" { "B" } else { "A" };
    format!("{rest}{other}")
}
