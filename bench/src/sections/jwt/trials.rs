//! What is done to each side, and what becomes of it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatelodge::config::secret_key;
use gatelodge::domain::keys::KeyRing;
use gatelodge::domain::token::Token;
use gatelodge::entropy;
use sqlx::{Connection as _, PgConnection};
use zeroize::Zeroizing;

use super::side::{Kind, Side};
use crate::baselines::{PATH, REFRESH_COOKIE, forged, rest_and_leeway};
use crate::http::get_up_to_cookie;
use crate::stand::{COOKIE_NAME, Stand, cookie};

/// How many log-outs are timed.
const TIMES: usize = 50;
const PATIENCE: Duration = Duration::from_secs(10);

/// What is measured, and what the page's text says of what is tried: a run that finds
/// anything else fails.
const MEASURED: [&str; 3] = [
    "bytes of cookies in a request, of all its bytes",
    "bytes that set them at a log-in",
    "a log-out holds on another instance after",
];
const TRIED: [(&str, [&str; 4]); 7] = [
    (
        "logged out, then the copied credential",
        [
            REFUSED,
            ACCEPTED,
            "accepted; the refresh token refused",
            REFUSED,
        ],
    ),
    (
        "servers restarted: who was logged in",
        [ACCEPTED, ACCEPTED, ACCEPTED, ACCEPTED],
    ),
    (
        "servers restarted: who had logged out",
        [REFUSED, ACCEPTED, ACCEPTED, REFUSED],
    ),
    (
        "Redis flushed, too: who was logged in",
        [ACCEPTED, ACCEPTED, ACCEPTED, ACCEPTED],
    ),
    (
        "Redis flushed, too: who had logged out",
        [REFUSED, ACCEPTED, ACCEPTED, "accepted again"],
    ),
    (
        "database leaked: what its rows open",
        [
            "nothing",
            "nothing there",
            "nothing; every session if refresh tokens are kept as they are",
            "nothing there",
        ],
    ),
    (
        "signing key leaked: a forged credential",
        [
            "refused, though its MAC is right",
            ACCEPTED,
            ACCEPTED,
            ACCEPTED,
        ],
    ),
];

const ACCEPTED: &str = "accepted";
const REFUSED: &str = "refused";

/// The rows' names, and below each what was found, by side.
pub(super) fn all(stand: &Stand) -> Result<Vec<(&'static str, Vec<String>)>> {
    let columns = Kind::ALL.map(|kind| column(stand, kind));
    let columns = columns.into_iter().collect::<Result<Vec<_>>>()?;
    let names = MEASURED.into_iter().chain(TRIED.map(|(name, _)| name));
    let rows: Vec<_> = names
        .enumerate()
        .map(|(row, name)| {
            let cells = columns.iter().map(|column| column[row].clone());
            (name, cells.collect::<Vec<_>>())
        })
        .collect();
    for ((name, found), (_, said)) in rows.iter().skip(MEASURED.len()).zip(TRIED) {
        ensure!(
            *found == said,
            "{name}: {found:?}, while docs/sessions-vs-jwt.md says {said:?}"
        );
    }
    Ok(rows)
}

fn column(stand: &Stand, kind: Kind) -> Result<[String; MEASURED.len() + TRIED.len()]> {
    let side = Side::start(stand, kind)?;
    let (in_requests, at_log_in) = bytes(&side)?;
    let held = log_out_holds(stand, &side)?;
    let after_log_out = after_log_out(&side)?;

    let (stays, leaves) = (side.log_in()?, side.log_in()?);
    side.log_out(&leaves)?;
    let both = |side: &Side| {
        let [stays, leaves] = [&stays, &leaves].map(|browser| side.accepts(&browser.cookies));
        anyhow::Ok((stays?, leaves?))
    };
    let side = side.restart(stand)?;
    let (stayed, left) = both(&side)?;
    stand.runtime.block_on(stand.redis.command(&["FLUSHALL"]));
    // Nor is it in anybody's memory.
    let side = side.restart(stand)?;
    let (stays, leaves) = both(&side)?;
    let is_back = leaves && !left;
    Ok([
        in_requests,
        at_log_in,
        held,
        after_log_out,
        fate(stayed).to_owned(),
        fate(left).to_owned(),
        fate(stays).to_owned(),
        if is_back {
            "accepted again"
        } else {
            fate(leaves)
        }
        .to_owned(),
        of_a_leaked_database(stand, &side)?,
        of_a_leaked_key(stand, &side)?,
    ])
}

const fn fate(is_accepted: bool) -> &'static str {
    if is_accepted { ACCEPTED } else { REFUSED }
}

fn bytes(side: &Side) -> Result<(String, String)> {
    let browser = side.log_in()?;
    let cookies = "Cookie: \r\n".len() + browser.cookies.len();
    let whole = get_up_to_cookie(PATH).len() + browser.cookies.len() + "\r\n\r\n".len();
    let set = browser.answer.length_of_cookies();
    let set = match side.kind {
        Kind::Refresh => format!("{set}, and at each rotation"),
        _ => set.to_string(),
    };
    Ok((format!("{cookies} of {whole}"), set))
}

/// Timed from when it is answered, by asking again and again, if the session ends
/// before its token does.
fn log_out_holds(stand: &Stand, side: &Side) -> Result<String> {
    if matches!(side.kind, Kind::Jwt | Kind::Refresh) {
        let (rest, leeway) = rest_and_leeway(&stand.key, &side.log_in()?.cookies)?;
        let minutes = (rest.unsigned_abs() + leeway).div_ceil(60);
        let (hours, minutes) = (minutes / 60, minutes % 60);
        let hours = (hours > 0).then(|| format!("{hours} h "));
        let hours = hours.unwrap_or_default();
        return Ok(format!("{hours}{minutes} min: `exp` and a leeway"));
    }
    let mut client = side.elsewhere()?;
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let browser = side.log_in()?;
        ensure!(side.accepts_from(&mut client, &browser.cookies)?, REFUSED);
        side.log_out(&browser)?;
        let answered = Instant::now();
        while side.accepts_from(&mut client, &browser.cookies)? {
            ensure!(answered.elapsed() < PATIENCE, "a log-out does not hold");
        }
        times.push(answered.elapsed());
    }
    times.sort_unstable();
    let (median, longest) = (times[TIMES / 2], times[TIMES - 1]);
    Ok(format!("{median:.1?}, at most {longest:.1?}"))
}

fn after_log_out(side: &Side) -> Result<String> {
    let browser = side.log_in()?;
    side.log_out(&browser)?;
    let mut held = log_out_is_known(side, &browser.cookies)?.to_owned();
    if side.kind == Kind::Refresh {
        let refresh = fate(side.renews(&browser.at_exits)?);
        held = format!("{held}; the refresh token {refresh}");
    }
    Ok(held)
}

/// Once it holds, or never.
fn log_out_is_known(side: &Side, cookies: &str) -> Result<&'static str> {
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_secs(1) {
        if !side.accepts(cookies)? {
            return Ok(REFUSED);
        }
    }
    Ok(ACCEPTED)
}

/// Every row is tried, in every way that comes to mind.
fn of_a_leaked_database(stand: &Stand, side: &Side) -> Result<String> {
    let opens = |is_any: bool| if is_any { "every session" } else { "nothing" };
    match side.kind {
        Kind::Jwt | Kind::Denylist => Ok("nothing there".to_owned()),
        Kind::Session => {
            let own = side.log_in()?.cookies;
            let rows = leaked::<Vec<u8>>(stand, "select digest from sessions")?;
            let mut tries = rows.iter().flat_map(|digest| made_of(digest, &own));
            let is_any = tries.try_fold(false, |is_any, cookies| {
                anyhow::Ok(is_any || side.accepts(&cookies)?)
            })?;
            Ok(opens(is_any).to_owned())
        }
        Kind::Refresh | Kind::CarelessRefresh => {
            let _victim = side.log_in()?;
            let rows = leaked::<String>(stand, "select token from refresh_tokens")?;
            let mut tries = rows.iter().map(|row| format!("{REFRESH_COOKIE}={row}"));
            let is_any = tries.try_fold(false, |is_any, cookies| {
                anyhow::Ok(is_any || side.renews(&cookies)?)
            })?;
            if side.kind == Kind::CarelessRefresh {
                return Ok(opens(is_any).to_owned());
            }
            let careless = Side::start(stand, Kind::CarelessRefresh)?;
            let careless = of_a_leaked_database(stand, &careless)?;
            let kept = opens(is_any);
            Ok(format!(
                "{kept}; {careless} if refresh tokens are kept as they are"
            ))
        }
    }
}

fn leaked<T>(stand: &Stand, column: &'static str) -> Result<Vec<T>>
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let url = stand.settings(&[])?.database.url;
    stand.runtime.block_on(async {
        let mut connection = PgConnection::connect(&url).await?;
        let rows = sqlx::query_scalar(column)
            .fetch_all(&mut connection)
            .await?;
        ensure!(!rows.is_empty(), "nothing has leaked");
        Ok(rows)
    })
}

/// Cookies that somebody might make of a digest who has a session of their own.
fn made_of(digest: &[u8], own: &str) -> Vec<String> {
    let own = own.split(['=', ';']).nth(1).unwrap_or_default();
    let own = URL_SAFE_NO_PAD.decode(own).unwrap_or_default();
    let header = own.get(..TOKEN_HEADER).unwrap_or_default();
    let mac = own.get(TOKEN_HEADER + digest.len()..).unwrap_or_default();
    [digest.to_vec(), [header, digest, mac].concat()]
        .map(|bytes| format!("{COOKIE_NAME}={}", URL_SAFE_NO_PAD.encode(bytes)))
        .into()
}

/// Bytes before a token's secret: its version and the name of its key.
const TOKEN_HEADER: usize = 3;

fn of_a_leaked_key(stand: &Stand, side: &Side) -> Result<String> {
    if side.kind != Kind::Session {
        return Ok(fate(side.accepts(&forged(&stand.key)?)?).to_owned());
    }
    let key = secret_key(&stand.key).map_err(anyhow::Error::msg)?;
    let ring = KeyRing::new(&key, &[]);
    let token = Token::mint(&Zeroizing::new(entropy::random()), &ring);
    let is_genuine = Token::verify(token.expose().as_bytes(), &ring).is_some();
    ensure!(is_genuine, "the key is another");
    Ok(format!(
        "{}, though its MAC is right",
        fate(side.accepts(&cookie(&token))?)
    ))
}
