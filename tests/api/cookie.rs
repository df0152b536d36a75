//! The session cookie, as browsers get it and as attackers send it.

use std::collections::{HashMap, HashSet};

use gatelodge::config::secret_key;
use gatelodge::domain::keys::KeyRing;
use gatelodge::domain::token::Token;
use gatelodge::entropy;
use gatelodge::startup::generate_key;
use reqwest::Method;
use reqwest::header::{COOKIE, HeaderValue};
use zeroize::Zeroizing;

use crate::support::Stack::{Embedded, Scaled};
use crate::support::TestApp;
use crate::support::app::PASSWORD;

#[tokio::test]
async fn on_https_the_cookie_belongs_to_the_host_alone() {
    let https = [("GATELODGE_SERVER__PUBLIC_URL", "https://auth.example.com")];
    let app = TestApp::spawn_with(Embedded, &https).await;
    let browser = app.browser();
    let body =
        serde_json::json!({ "email": "ada@example.com", "name": "Ada", "password": PASSWORD });
    let answer = browser
        .request(Method::POST, "/api/register")
        .json(&body)
        .send()
        .await
        .unwrap();
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    let [cookie, device] = cookies.as_slice() else {
        panic!("{} cookies", cookies.len())
    };
    assert!(device.as_bytes().starts_with(b"__Host-gatelodge_device="));
    let cookie = cookie.to_str().unwrap();
    let (name_and_value, attributes) = cookie.split_once("; ").unwrap();
    assert!(name_and_value.starts_with("__Host-gatelodge_session="));
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax");
}

#[tokio::test]
async fn on_https_no_other_name_will_do() {
    let https = [("GATELODGE_SERVER__PUBLIC_URL", "https://auth.example.com")];
    let app = TestApp::spawn_with(Embedded, &https).await;
    let body =
        serde_json::json!({ "email": "ada@example.com", "name": "Ada", "password": PASSWORD });
    let mut browser = app.browser();
    let registering = browser.request(Method::POST, "/api/register").json(&body);
    let answer = registering.send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    let (_, rest) = cookie.split_once('=').unwrap();
    let (token, _) = rest.split_once(';').unwrap();
    for (name, status) in [
        ("__Host-gatelodge_session", 200),
        ("gatelodge_session=x; __Host-gatelodge_session", 200),
        ("__Host-gatelodge_session=x; __Host-gatelodge_session", 401),
        ("__host-gatelodge_session", 401),
        ("__Secure-gatelodge_session", 401),
        ("gatelodge_session", 401),
        ("__Host-gatelodge_session ", 401),
        ("%5F_Host-gatelodge_session", 401),
    ] {
        let asking = browser.request(Method::GET, "/api/sessions/whoami");
        let asking = asking.header(COOKIE, format!("{name}={token}"));
        assert_eq!(browser.send(asking).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn with_a_domain_the_cookie_is_its_whole_sites() {
    let shared = [
        ("GATELODGE_SERVER__PUBLIC_URL", "https://auth.example.com"),
        ("GATELODGE_COOKIE__DOMAIN", "example.com"),
        ("GATELODGE_COOKIE__SAME_SITE", "strict"),
    ];
    let app = TestApp::spawn_with(Embedded, &shared).await;
    let answer = app
        .browser()
        .request(Method::POST, "/api/logout")
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.headers()["set-cookie"],
        "__Secure-gatelodge_session=; Max-Age=0; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Strict"
    );
}

#[tokio::test]
async fn a_genuine_cookie_is_found_among_junk() {
    let app = TestApp::spawn(Embedded).await;
    let ada = app.registered("ada@example.com").await;
    let token = ada.token.unwrap();
    let long = "x".repeat(3000);
    for junk in [
        &b"a; "[..],
        b"=x; ",
        b"b=%ff; ",
        b"c=\xff; ",
        b"; ; ",
        format!("d={long}; ").as_bytes(),
    ] {
        let cookie = [
            junk,
            format!("gatelodge_session={token}").as_bytes(),
            b"; e=f",
        ]
        .concat();
        let mut browser = app.browser();
        let request = browser
            .request(Method::GET, "/api/sessions/whoami")
            .header(COOKIE, HeaderValue::from_bytes(&cookie).unwrap());
        assert_eq!(
            browser.send(request).await.status,
            200,
            "{}",
            String::from_utf8_lossy(junk)
        );
        // The same on a route that actix-session carries.
        let request = browser
            .request(Method::DELETE, "/api/account")
            .json(&serde_json::json!({ "password": "not the password at all" }))
            .header(COOKIE, HeaderValue::from_bytes(&cookie).unwrap());
        browser
            .send(request)
            .await
            .assert_problem(403, "wrong_password");
    }
}

#[tokio::test]
async fn a_cookie_that_is_not_exactly_ours_is_nobodys() {
    let app = TestApp::spawn(Embedded).await;
    let ada = app.registered("ada@example.com").await;
    let token = ada.token.unwrap();
    let mut flipped = token.clone().into_bytes();
    flipped[30] = if flipped[30] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for cookie in [
        format!("gatelodge_session={}", &token[1..]),
        format!("gatelodge_session={token}A"),
        format!("gatelodge_session={}", token.to_lowercase()),
        format!("gatelodge_session={flipped}"),
        format!("gatelodge_session=\"{token}\""),
        format!("gatelodge_session={token}; gatelodge_session={token}"),
        format!("Gatelodge_session={token}"),
        format!("gatelodge%5fsession={token}"),
        format!("carried={token}"),
        "gatelodge_session=".to_owned(),
        "gatelodge_session".to_owned(),
        "gatelodge_session=eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.".to_owned(),
    ] {
        let mut browser = app.browser();
        let request = browser
            .request(Method::GET, "/api/sessions/whoami")
            .header(COOKIE, &cookie);
        browser.send(request).await.assert_refused();
        let request = browser
            .request(Method::DELETE, "/api/account")
            .json(&serde_json::json!({ "password": PASSWORD }))
            .header(COOKIE, &cookie);
        browser.send(request).await.assert_refused();
    }
}

#[tokio::test]
async fn a_value_with_any_character_changed_dropped_added_or_recased_is_nobodys() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    let token = ada.token.clone().unwrap().into_bytes();
    let mut forged = Vec::new();
    for position in 0..token.len() {
        let (before, after) = (&token[..position], &token[position + 1..]);
        let is = token[position];
        forged.extend((0..8).map(|bit| [before, &[is ^ (1 << bit)], after].concat()));
        forged.push([before, after].concat());
        forged.extend([b'A', b'=', is].map(|added| [before, &[added, is], after].concat()));
        let recased = if is.is_ascii_uppercase() {
            is.to_ascii_lowercase()
        } else {
            is.to_ascii_uppercase()
        };
        forged.push([before, &[recased], after].concat());
    }
    forged.push([&token[..], b"A"].concat());
    forged.retain(|value| *value != token);
    let browser = app.browser();
    let mut tried = 0;
    for value in forged {
        // What no header can hold, no browser sends.
        let cookie = [b"gatelodge_session=", &value[..]].concat();
        let Ok(cookie) = HeaderValue::from_bytes(&cookie) else {
            continue;
        };
        tried += 1;
        for request in [
            browser.request(Method::GET, "/api/sessions/whoami"),
            browser
                .request(Method::DELETE, "/api/account")
                .json(&serde_json::json!({ "password": PASSWORD })),
        ] {
            let request = request.header(COOKIE, &cookie);
            browser.clone().send(request).await.assert_refused();
        }
    }
    assert!(tried > 10 * token.len(), "{tried}");
    assert_eq!(ada.whoami().await.status, 200);
}

#[tokio::test]
async fn a_token_anywhere_else_is_nothing() {
    let app = TestApp::spawn(Embedded).await;
    let token = app.registered("ada@example.com").await.token.unwrap();
    let mut browser = app.browser();
    for request in [
        browser.request(
            Method::GET,
            &format!("/api/sessions/whoami?gatelodge_session={token}"),
        ),
        browser
            .request(Method::GET, "/api/sessions/whoami")
            .bearer_auth(&token),
        browser
            .request(Method::GET, "/api/sessions/whoami")
            .header("x-session-id", &token),
    ] {
        browser.send(request).await.assert_refused();
    }
}

#[tokio::test]
async fn forged_cookies_leave_no_trace() {
    let app = TestApp::spawn(Scaled).await;
    let stranger = TestApp::spawn(Scaled).await;
    let genuine_elsewhere = stranger.registered("ada@example.com").await.token.unwrap();
    for n in 0..200 {
        let mut browser = app.browser();
        browser.token = Some(if n % 2 == 0 {
            genuine_elsewhere.clone()
        } else {
            format!("forged{n}")
        });
        browser.whoami().await.assert_refused();
    }
    let keys = app.redis_keys().await;
    assert!(keys.is_empty());
}

#[tokio::test]
async fn tokens_have_nothing_in_common() {
    let app = TestApp::spawn(Embedded).await;
    app.registered("ada@example.com").await;
    let mut tokens = Vec::new();
    for _ in 0..200 {
        tokens.push(app.logged_in("ada@example.com").await.token.unwrap());
    }
    let distinct: HashSet<_> = tokens.iter().collect();
    assert_eq!(distinct.len(), tokens.len());
    // After the prefix of version and key, no position ever stands still.
    for position in 4..68 {
        let values: HashSet<_> = tokens
            .iter()
            .map(|token| token.as_bytes()[position])
            .collect();
        assert!(
            values.len() > 30,
            "position {position} has {} values",
            values.len()
        );
    }
    assert!(
        tokens
            .iter()
            .all(|token| token.len() == 68 && token[..4] == tokens[0][..4])
    );
}

/// As many as log-ins of a day, by as many threads as answer them.
#[test]
fn tokens_are_random_in_each_position_and_in_no_order() {
    const THREADS: usize = 64;
    const EACH: usize = 313;
    let keys = KeyRing::new(&secret_key(&generate_key()).unwrap(), &[]);
    let mint = || {
        let tokens = (0..EACH).map(|_| {
            let token = Token::mint(&Zeroizing::new(entropy::random()), &keys);
            token.expose().to_string()
        });
        tokens.collect::<Vec<_>>()
    };
    let tokens: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(mint)).collect();
        let minted = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        minted.collect()
    });
    let count = u32::try_from(tokens.len()).unwrap();
    assert!(count > 20_000);
    let distinct: HashSet<_> = tokens.iter().map(|token| &token[4..]).collect();
    assert_eq!(distinct.len(), tokens.len());
    assert!(tokens.iter().all(|token| token[..4] == tokens[0][..4]));

    // Of 63 degrees of freedom, chi-square is outside of this once in a billion times.
    let usual = 16.0..160.0;
    let expected = f64::from(count) / 64.0;
    for position in 4..68 {
        let mut seen: HashMap<u8, u32> = HashMap::new();
        for token in &tokens {
            *seen.entry(token.as_bytes()[position]).or_default() += 1;
        }
        assert_eq!(seen.len(), 64, "position {position}");
        let squares = seen
            .values()
            .map(|seen| (f64::from(*seen) - expected).powi(2));
        let chi_square = squares.sum::<f64>() / expected;
        assert!(
            usual.contains(&chi_square),
            "position {position}: {chi_square}"
        );
    }

    // Half of them, give or take six standard deviations of 41.
    let ascents = tokens.windows(2).filter(|two| two[0] < two[1]).count();
    assert!(ascents.abs_diff(tokens.len() / 2) < 250, "{ascents}");
}
