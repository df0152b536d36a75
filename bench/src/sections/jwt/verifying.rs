//! Verifying JWTs that were minted from sessions, with the feed of revocations and without.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gatelodge::config::secret_key;
use gatelodge::domain::jwt::SessionClaims;
use gatelodge::domain::keys::KeyRing;
use gatelodge::entropy;
use gatelodge::sessions::Issued;
use gatelodge::verifier::{Credential, Settings, Verifier};

use super::feed::CREDENTIAL;
use super::minting::{AUDIENCE, cpu_us, minted};
use crate::http::Client;
use crate::process::Process;
use crate::report::{Figure, shown};
use crate::rounds::median;
use crate::stand::{Stand, cookie};

/// How many JWTs are verified in turn, and how often all of them.
const LIVE: usize = 200;
const BATCHES: usize = 31;
const AT_ONCE: u32 = 1000;
/// How many log-outs are timed.
const TIMES: usize = 50;
const PATIENCE: Duration = Duration::from_secs(10);

/// Of `users`, the sessions of all but [`LIVE`] end first: what the feed tells of.
pub(super) fn figures(stand: &Stand, service: &Process, users: &[Issued]) -> Result<Vec<Figure>> {
    let verifier = |credential| {
        let verifier = Verifier::connect(Settings {
            credential,
            ..Settings::new(
                format!("http://{}", service.address).parse()?,
                ISSUER,
                AUDIENCE,
            )
        })?;
        let ready = async { tokio::time::timeout(PATIENCE, verifier.until_ready()).await };
        stand.runtime.block_on(ready)?;
        anyhow::Ok(verifier)
    };
    let mut client = Client::connect(service.address)?;
    let mut log_out = |user: &Issued| {
        let answer = client.post_as(&cookie(&user.token), "/api/logout")?;
        ensure!(answer.status == 204, "not logged out: {}", answer.text());
        Ok(())
    };
    let (live, ending) = users.split_at(LIVE);
    let (ending, ended) = ending.split_at(TIMES);
    ended.iter().try_for_each(&mut log_out)?;
    let (alone, hearing) = (
        verifier(None)?,
        verifier(Some(Credential::new(CREDENTIAL)?))?,
    );

    let tokens = live.iter().map(|user| minted(service, user));
    let tokens = tokens.collect::<Result<Vec<_>>>()?;
    let (mut plain, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..BATCHES {
        let [without, with] = [&alone, &hearing].map(|verifier| {
            let mut turn = tokens.iter().cycle();
            cpu_us(AT_ONCE, || {
                black_box(verifier.verify(turn.next().context("a token")?)?);
                Ok(())
            })
        });
        let (without, with) = (without?, with?);
        plain.push(without);
        ratios.push(with / without);
    }

    let mut times = Vec::with_capacity(TIMES);
    for user in ending {
        let token = minted(service, user)?;
        hearing.verify(&token)?;
        log_out(user)?;
        let answered = Instant::now();
        while hearing.verify(&token).is_ok() {
            ensure!(answered.elapsed() < PATIENCE, "a log-out is not heard of");
        }
        times.push(answered.elapsed());
        ensure!(alone.verify(&token).is_ok(), "nobody has told it");
    }
    times.sort_unstable();
    let (typical, longest) = (times[TIMES / 2], times[TIMES - 1]);

    let forged = forged(stand, &hearing, &tokens[0])?;
    let is_believed = hearing.verify(&forged).is_ok();
    Ok(vec![
        Figure::plain(
            "verifying one, without the feed",
            shown(median(plain), " µs"),
        ),
        Figure::at_most("… with it, to that", median(ratios), 1.1, " ×"),
        Figure::plain(
            "a log-out holds at a verifier with the feed after",
            format!("{typical:.1?}, at most {longest:.1?}"),
        ),
        Figure::plain(
            "signing key leaked: a forged JWT",
            if is_believed { "accepted" } else { "refused" }.to_owned(),
        ),
    ])
}

/// Where it is said to be: `server.public_url`.
const ISSUER: &str = "http://localhost:8080";

/// What somebody makes of another's who has the service's key.
fn forged(stand: &Stand, verifier: &Verifier, token: &str) -> Result<String> {
    let key = secret_key(&stand.key).map_err(anyhow::Error::msg)?;
    let claims = SessionClaims {
        roles: vec!["admin".to_owned()],
        ..verifier.verify(token)?.claims
    };
    KeyRing::new(&key, &[]).sign_jwt(&claims, &entropy::source())
}
