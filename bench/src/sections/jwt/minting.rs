//! JWTs minted from sessions, for those who need both: what they cost, and what they hold.

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatelodge::domain::jwt::SigningKey;
use gatelodge::entropy;
use gatelodge::sessions::Issued;
use rustix::time::{ClockId, clock_gettime};

use super::feed::CREDENTIAL;
use super::verifying;
use crate::baselines::COOKIES;
use crate::http::Client;
use crate::load::Target;
use crate::process::{OTHERS, Process, SERVER};
use crate::report::{Figure, shown};
use crate::rounds::{Contender, median, rounds};
use crate::stand::{Stand, WHOAMI, cookie};

const TEMPLATES: &str = r#"
[[tokens.templates]]
name = "orders"
audience = "orders"
lifetime = "15m"
claims = ["email", "name"]
"#;
/// Whom they are meant for.
pub(super) const AUDIENCE: &str = "orders";
const MINT: &str = "/api/sessions/whoami?tokenize_as=orders";

/// Of as many signatures as are timed at once.
const BATCHES: usize = 15;
const AT_ONCE: u32 = 1000;

pub(super) fn figures() -> Result<Vec<Figure>> {
    OTHERS.keep_to()?;
    let stand = Stand::start()?;
    fs::write(stand.folder.path().join("gatelodge.toml"), TEMPLATES)?;
    let users = stand.logged_in(COOKIES)?;
    let settings = [
        ("GATELODGE_SERVER__WORKERS", "1"),
        ("GATELODGE_REVOCATIONS__CREDENTIALS", CREDENTIAL),
    ];
    let service = stand.service(SERVER, &settings)?;
    let mut figures = minting(&service, &users)?;
    figures.extend(verifying::figures(&stand, &service, &users)?);
    Ok(figures)
}

fn minting(service: &Process, users: &[Issued]) -> Result<Vec<Figure>> {
    let contenders = [("whoami", WHOAMI), ("whoami?tokenize_as", MINT)].map(|(name, path)| {
        let cookies = users.iter().map(|issued| cookie(&issued.token));
        let target = Target {
            address: service.address,
            path,
            cookies: cookies.collect(),
            expected: 200,
        };
        Contender {
            name,
            process: service,
            target,
        }
    });
    let jwt = minted(service, &users[0])?;
    let claims = claims(&jwt)?;
    let mut signatures = signatures(&claims)?;
    let rounds = rounds(&contenders)?;
    signatures.extend(self::signatures(&claims)?);
    let signature = median(signatures);
    let both = rounds
        .cpu_by_round(0)
        .into_iter()
        .zip(rounds.cpu_by_round(1));
    let ratios = both.map(|(whoami, minting)| minting / (whoami + signature));
    Ok(vec![
        Figure::plain("a whoami", shown(rounds.cpu(0), " µs")),
        Figure::plain("a signature (EdDSA)", shown(signature, " µs")),
        Figure::plain("a whoami that mints a JWT", shown(rounds.cpu(1), " µs")),
        Figure::at_most(
            "… to a whoami and a signature",
            median(ratios.collect()),
            1.3,
            " ×",
        ),
        Figure::plain("such a JWT", format!("{} bytes", jwt.len())),
    ])
}

/// What a JWT says.
fn claims(jwt: &str) -> Result<serde_json::Value> {
    let claims = jwt.split('.').nth(1).context("claims")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?)
}

/// What signing such claims takes, in µs, by batch.
fn signatures(claims: &serde_json::Value) -> Result<Vec<f64>> {
    let key = SigningKey::ed25519(&entropy::random());
    let batch = |_| {
        cpu_us(AT_ONCE, || {
            black_box(key.sign(claims, &entropy::source())?);
            Ok(())
        })
    };
    (0..BATCHES).map(batch).collect()
}

/// CPU time of one call of so many, in µs.
pub(super) fn cpu_us(times: u32, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let before = thread_cpu()?;
    for _ in 0..times {
        call()?;
    }
    let taken = thread_cpu()?.saturating_sub(before);
    Ok(taken.as_secs_f64() * 1e6 / f64::from(times))
}

fn thread_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::ThreadCPUTime).try_into()?)
}

pub(super) fn minted(service: &Process, user: &Issued) -> Result<String> {
    let answer = Client::connect(service.address)?.get(MINT, &cookie(&user.token))?;
    let text = answer.text();
    let (_, body) = text.split_once("\r\n\r\n").context("a body")?;
    let body: serde_json::Value = serde_json::from_str(body)?;
    let jwt = body["tokenized"].as_str();
    Ok(jwt.with_context(|| format!("no JWT in {text}"))?.to_owned())
}
