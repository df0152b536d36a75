//! A million live sessions.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use gatelodge::domain::client::UserAgent;
use gatelodge::domain::email::Email;
use gatelodge::domain::id::{SessionId, UserId};
use gatelodge::domain::keys::KeyRing;
use gatelodge::domain::session::Record;
use gatelodge::domain::token::Token;
use gatelodge::domain::user::UserName;
use gatelodge::entropy;
use gatelodge::store::hot::HotStore;
use gatelodge::store::redis::Redis;
use zeroize::Zeroizing;

use crate::baselines::{COOKIES, PATH};
use crate::load::{Pace, Target, Until, load};
use crate::process::{Cores, OTHERS, Process};
use crate::report::{Figure, Results};
use crate::rounds::{Contender, rounds};
use crate::stand::{Stand, cookie, email, name};

pub const ABOUT: &str = "\
1 000 000 sessions, each with an e-mail address of 20 bytes and a name of 15, with the
user agent of a usual browser and with none. Redis's `used_memory` and the resident
memory of a process with the gate, before and after, by session.";

const SESSIONS: usize = 1_000_000;
const CAPACITY: [(&str, &str); 1] = [("GATELODGE_SESSION__CACHE_CAPACITY", "1200000")];
/// Commands under way to Redis, and connections to the gate.
const AT_ONCE: usize = 100;
/// With Redis, which has never so much to do at once as here.
const PATIENCE: Duration = Duration::from_secs(10);
const BODY_LENGTH: usize = 300;
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                       (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";

pub fn run() -> Result<Results> {
    let mut figures = with_sessions(None, "without a user agent")?;
    figures.extend(with_sessions(Some(BROWSER), "with one")?);
    Ok(Results {
        comparison: None,
        costs: Vec::new(),
        figures,
    })
}

fn with_sessions(user_agent: Option<&str>, with: &str) -> Result<Vec<Figure>> {
    Cores::All.keep_to()?;
    let stand = Stand::start()?;
    let one = stand.logged_in(1)?.pop().context("a session")?.record;
    let before = used_memory(&stand)?;
    let cookies = fill(&stand, &one, user_agent)?;
    let in_redis = per_session(before, used_memory(&stand)?);

    let gate = || stand.baseline("gate", BODY_LENGTH, &CAPACITY);
    let ((few, _), (many, _)) = (gate()?, gate()?);
    let of_few = target(&few, cookies[..COOKIES].to_vec());
    let of_many = target(&many, cookies);
    // Until it has all that it needs besides the sessions.
    ask_all(&target(&many, of_few.cookies.clone()))?;
    let before = many.resident()?;
    ask_all(&of_many)?;
    let in_process = per_session(before, many.resident()?);

    OTHERS.keep_to()?;
    let contenders = [
        Contender {
            name: "1000 sessions",
            process: &few,
            target: of_few,
        },
        Contender {
            name: "1 000 000 sessions",
            process: &many,
            target: of_many,
        },
    ];
    let speed = rounds(&contenders)?.speed_ratio(1, 0);
    Ok(vec![
        Figure::at_most(
            format!("Redis, per session {with}"),
            in_redis,
            360.0,
            " bytes",
        ),
        Figure::at_most(
            format!("the gate's process, per session {with}"),
            in_process,
            300.0,
            " bytes",
        ),
        Figure::at_least(
            format!("checks/s with 1 000 000 in turn, to those with 1000, {with}"),
            speed,
            0.9,
            " ×",
        ),
    ])
}

/// Sessions in Redis that the ledger knows nothing of, but for where its log stood;
/// their cookies.
fn fill(stand: &Stand, like: &Record, user_agent: Option<&str>) -> Result<Vec<String>> {
    let settings = stand.settings(&[])?;
    let (first, others) = settings.secrets.keys.split_first().context("a key")?;
    let keys = Arc::new(KeyRing::new(first, others));
    let url = settings.redis.url.as_deref().context("a URL")?;
    let redis = Redis::new(url, None, PATIENCE)?;
    let hot = HotStore::new(redis, &settings.redis.key_prefix, Arc::clone(&keys));
    let now = like.session.issued_at();
    let user_agent = user_agent.and_then(|text| UserAgent::parse(text.as_bytes()));
    let keep = async |number| -> Result<String> {
        let mut record = like.clone();
        record.email = Email::parse(&email(number))?;
        record.name = UserName::parse(&name(number))?;
        record.session.id = SessionId::new(now, entropy::random());
        record.session.user_id = UserId::new(now, entropy::random());
        record.session.address = Some([203, 0, 113, 9].into());
        record.session.user_agent.clone_from(&user_agent);
        let token = Token::mint(&Zeroizing::new(entropy::random()), &keys);
        hot.keep(&token.digest(), &record, now).await?;
        Ok(cookie(&token))
    };
    let kept = iter(0..SESSIONS).map(keep).buffer_unordered(AT_ONCE);
    stand.runtime.block_on(kept.try_collect())
}

fn target(process: &Process, cookies: Vec<String>) -> Target {
    Target {
        address: process.address,
        path: PATH,
        cookies,
        expected: 200,
    }
}

fn ask_all(target: &Target) -> Result<()> {
    load(target, AT_ONCE, Pace::Closed, Until::AllAsked).map(drop)
}

fn used_memory(stand: &Stand) -> Result<u64> {
    let info = stand
        .runtime
        .block_on(stand.redis.command(&["INFO", "memory"]));
    let info: String = redis::from_redis_value(info)?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    Ok(line.context("used_memory")?.parse()?)
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
fn per_session(before: u64, after: u64) -> f64 {
    after.saturating_sub(before) as f64 / SESSIONS as f64
}
