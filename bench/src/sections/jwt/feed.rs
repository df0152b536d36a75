//! How fast a fleet of those who verify JWTs hears that a session has ended.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::fleet::{Fleet, allow_files, now};
use crate::http::Client;
use crate::process::Cores;
use crate::report::Figure;
use crate::stand::{Stand, cookie};

const VERIFIERS: usize = 10_000;
const REVOCATIONS: usize = 50;
const BAR: Duration = Duration::from_secs(1);
/// So that revocations fall anywhere between what else the streams are told.
const PAUSE: Duration = Duration::from_millis(230);

/// Of the bench's own: what it opens besides.
const OTHER_FILES: usize = 1000;

pub(super) const CREDENTIAL: &str = "a-credential-of-some-service-that-verifies";

/// All are connected to one instance, and the sessions end at another.
pub(super) fn figures() -> Result<Vec<Figure>> {
    allow_files(VERIFIERS + OTHER_FILES)?;
    Cores::All.keep_to()?;
    let stand = Stand::start()?;
    let sessions = stand.logged_in(REVOCATIONS)?;
    let settings = [("GATELODGE_REVOCATIONS__CREDENTIALS", CREDENTIAL)];
    let [told, ending] = [(); 2].map(|()| stand.service(Cores::All, &settings));
    let (told, ending) = (told?, ending?);
    let mut fleet = Fleet::start(told.address, VERIFIERS, CREDENTIAL)?;
    let mut client = Client::connect(ending.address)?;
    let (mut halves, mut most, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for session in sessions {
        thread::sleep(PAUSE);
        let asked = now()?;
        let answer = client.post_as(&cookie(&session.token), "/api/logout")?;
        ensure!(answer.status == 204, "not logged out: {}", answer.text());
        let heard = fleet.heard()?;
        halves.push(heard.half.saturating_sub(asked));
        most.push(heard.most.saturating_sub(asked));
        lasts.push(heard.all.saturating_sub(asked));
    }
    for times in [&mut halves, &mut most, &mut lasts] {
        times.sort_unstable();
    }
    let (half, [typical, slowest], last) = (
        halves[REVOCATIONS / 2],
        [REVOCATIONS / 2, REVOCATIONS - 1].map(|at| most[at]),
        lasts[REVOCATIONS - 1],
    );
    let what = format!("a log-out at another instance, heard by 99 % of {VERIFIERS} verifiers");
    Ok(vec![
        Figure::plain(format!("{what}, usually"), format!("{typical:.0?}")),
        Figure::with_bar(
            format!("… the slowest of {REVOCATIONS}"),
            format!("{slowest:.0?}"),
            format!("≤ {BAR:?}"),
            slowest <= BAR,
        ),
        Figure::plain("… by half of them, usually", format!("{half:.0?}")),
        Figure::plain("… by the last, of all", format!("{last:.0?}")),
    ])
}
