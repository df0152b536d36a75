//! The limit on wrong passwords.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::browser::{Answer, DEVICE_NAME};
use crate::support::{Browser, TestApp, eventually};

const WRONG: &str = "not the password at all";
const WINDOW: Duration = Duration::from_mins(15);
const THREE: (&str, &str) = ("GATELODGE_THROTTLE__MAX_ATTEMPTS", "3");
const FIVE_PER_ADDRESS: (&str, &str) = ("GATELODGE_THROTTLE__MAX_ATTEMPTS_PER_IP", "5");
const PROXIED: (&str, &str) = ("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1");

/// A log-in from a browser that no account knows.
async fn try_in(app: &TestApp, email: &str, password: &str) -> Answer {
    app.browser().log_in(email, password).await
}

/// The same, from an address.
async fn try_from(app: &TestApp, address: &str, email: &str, password: &str) -> Answer {
    let mut browser = app.browser();
    let request = browser
        .request(Method::POST, "/api/login")
        .header("x-forwarded-for", address)
        .json(&json!({ "email": email, "password": password }));
    browser.send(request).await
}

async fn fail(app: &TestApp, email: &str, times: usize) {
    for _ in 0..times {
        let answer = try_in(app, email, WRONG).await;
        answer.assert_problem(401, "invalid_credentials");
    }
}

#[track_caller]
fn assert_blocked(answer: &Answer) {
    answer.assert_problem(429, "too_many_attempts");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=WINDOW.as_secs()).contains(&seconds), "{seconds}");
}

#[rstest]
#[tokio::test]
async fn beyond_the_limit_not_even_the_right_password_is_tried(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn_with(stack, &[THREE]).await;
    app.registered("ada@example.com").await;
    fail(&app, "ada@example.com", 3).await;
    for password in [PASSWORD, WRONG] {
        assert_blocked(&try_in(&app, "ada@example.com", password).await);
    }
    // What is not tried does not make it longer.
    app.let_pass(Duration::from_mins(14));
    assert_blocked(&try_in(&app, "ada@example.com", PASSWORD).await);
    app.let_pass(Duration::from_mins(1));
    assert_eq!(try_in(&app, "ada@example.com", PASSWORD).await.status, 200);
}

/// As after a process was frozen: its place has become another's meanwhile.
#[tokio::test]
async fn an_attempt_that_was_given_up_makes_room_for_no_other() {
    let mut tries = 0;
    while !was_given_up_and_made_no_room().await {
        tries += 1;
        assert!(tries < 10, "it was never under way for long enough");
    }
}

/// `false` if the first attempt was done before it could be given up.
async fn was_given_up_and_made_no_room() -> bool {
    let slow = [
        ("GATELODGE_PASSWORD__BCRYPT_COST", "11"),
        ("GATELODGE_PASSWORD__HASH_CONCURRENCY", "1"),
        ("GATELODGE_THROTTLE__MAX_ATTEMPTS", "2"),
    ];
    let app = TestApp::spawn_with(Scaled, &slow).await;
    app.registered("ada@example.com").await;
    let guess = || {
        let mut browser = app.browser();
        async move { browser.log_in("ada@example.com", WRONG).await.status }
    };
    let mut ledger = PgConnection::connect(app.database_url()).await.unwrap();
    let first = tokio::spawn(guess());
    let mut are_under_way = async |count: i32| {
        eventually("so many are under way", async || {
            let pending = "select coalesce(max(pending), 0) from attempts";
            let pending: (i32,) = sqlx::query_as(pending)
                .fetch_one(&mut ledger)
                .await
                .unwrap();
            pending.0 == count || first.is_finished()
        })
        .await;
    };
    are_under_way(1).await;
    app.let_pass(Duration::from_secs(11));
    let others = [guess(), guess()].map(tokio::spawn);
    are_under_way(2).await;
    if first.await.unwrap() == 401 {
        return false;
    }
    let mut tried = usize::from(guess().await == 401);
    for other in others {
        tried += usize::from(other.await.unwrap() == 401);
    }
    assert!(tried <= 2, "{tried} were tried");
    true
}

#[tokio::test]
async fn an_account_that_does_not_exist_or_is_locked_is_counted_alike() {
    let app = TestApp::spawn_with(Embedded, &[THREE]).await;
    app.registered("ada@example.com").await;
    let locked = app.registered("eve@example.com").await.user_id().await;
    let mut root = app.admin().await;
    let lock = format!("/api/admin/users/{locked}/lock");
    assert_eq!(root.post(&lock, &json!({})).await.status, 200);

    let shown = |answer: Answer| {
        let mut headers = answer.headers;
        headers.remove("date");
        headers.remove("x-request-id");
        headers.remove("x-request-id");
        headers.remove("retry-after");
        let headers: Vec<_> = headers.iter().map(|it| format!("{it:?}")).collect();
        (answer.status, answer.text, headers.len())
    };
    for _ in 0..5 {
        let known = shown(try_in(&app, "ada@example.com", WRONG).await);
        let unknown = shown(try_in(&app, "bob@example.com", WRONG).await);
        let locked = shown(try_in(&app, "eve@example.com", PASSWORD).await);
        assert_eq!(known, unknown);
        assert_eq!(known, locked);
    }
    assert_blocked(&try_in(&app, "bob@example.com", WRONG).await);
}

#[rstest]
#[tokio::test]
async fn a_right_password_makes_up_for_the_wrong_ones(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn_with(stack, &[THREE]).await;
    app.registered("ada@example.com").await;
    for _ in 0..3 {
        fail(&app, "ada@example.com", 2).await;
        app.logged_in("ada@example.com").await;
    }
}

#[tokio::test]
async fn slow_guesses_add_up() {
    let app = TestApp::spawn_with(Embedded, &[THREE]).await;
    app.registered("ada@example.com").await;
    for _ in 0..3 {
        fail(&app, "ada@example.com", 1).await;
        app.let_pass(Duration::from_mins(14));
    }
    assert_blocked(&try_in(&app, "ada@example.com", PASSWORD).await);
}

/// Whoever has stolen the session's cookie has not got the other.
fn thief(owner: &Browser) -> Browser {
    let mut thief = owner.clone();
    thief.device = None;
    thief
}

#[tokio::test]
async fn all_ways_to_try_a_password_share_one_count() {
    let app = TestApp::spawn_with(Embedded, &[("GATELODGE_THROTTLE__MAX_ATTEMPTS", "7")]).await;
    let ada = app.registered("ada@example.com").await;
    let mut thief = thief(&ada);
    let wrong = [("current_password", WRONG), ("new_password", PASSWORD)];
    let changed = thief.change_password(WRONG, PASSWORD).await;
    changed.assert_problem(403, "wrong_password");
    let body = json!({ "email": "eve@example.com", "password": WRONG });
    let changed = thief.update_account(&body).await;
    changed.assert_problem(403, "wrong_password");
    let deleted = thief.delete_account(WRONG).await;
    deleted.assert_problem(403, "wrong_password");
    let page = thief.submit("/account/password", &wrong).await;
    assert!(page.text.contains("The current password is wrong."));
    let form = [("email", "eve@example.com"), ("password", WRONG)];
    assert_eq!(thief.submit("/account/email", &form).await.status, 403);
    let form = [("password", WRONG)];
    assert_eq!(thief.submit("/account/delete", &form).await.status, 403);
    fail(&app, "ada@example.com", 1).await;

    assert_blocked(
        &thief
            .change_password(PASSWORD, "a longer horse battery staple")
            .await,
    );
    assert_blocked(&thief.delete_account(PASSWORD).await);
    let body = json!({ "email": "eve@example.com", "password": PASSWORD });
    assert_blocked(&thief.update_account(&body).await);
    assert_blocked(&try_in(&app, "ada@example.com", PASSWORD).await);
    let form = [("email", "ada@example.com"), ("password", PASSWORD)];
    let page = app.browser().submit("/login", &form).await;
    assert_eq!(page.status, 429);
    assert!(page.text.contains("Too many wrong passwords."));
    assert_eq!(thief.whoami().await.status, 200, "sessions go on");
}

#[rstest]
#[tokio::test]
async fn a_browser_that_was_logged_in_is_not_kept_out_by_strangers(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn_with(stack, &[THREE, FIVE_PER_ADDRESS]).await;
    let mut ada = app.registered("ada@example.com").await;
    assert_eq!(ada.log_out().await.status, 204);
    fail(&app, "ada@example.com", 3).await;
    fail(&app, "bob@example.com", 2).await;
    assert_blocked(&try_in(&app, "ada@example.com", PASSWORD).await);
    assert_blocked(&try_in(&app, "carol@example.com", WRONG).await);

    // It has a budget of its own, and is held to it.
    for _ in 0..2 {
        let answer = ada.log_in("ada@example.com", WRONG).await;
        answer.assert_problem(401, "invalid_credentials");
    }
    assert_eq!(ada.log_in("ada@example.com", PASSWORD).await.status, 200);
    for _ in 0..3 {
        let answer = ada.log_in("ada@example.com", WRONG).await;
        answer.assert_problem(401, "invalid_credentials");
    }
    assert_blocked(&ada.log_in("ada@example.com", PASSWORD).await);
    assert_eq!(ada.whoami().await.status, 200, "its session goes on");
}

#[tokio::test]
async fn a_device_cookie_is_worth_nothing_elsewhere_and_authenticates_nothing() {
    let app = TestApp::spawn_with(Embedded, &[THREE]).await;
    let ada = app.registered("ada@example.com").await;
    let eve = app.registered("eve@example.com").await;
    fail(&app, "ada@example.com", 3).await;
    let known = ada.device.clone().unwrap();
    let forged = format!("{}AAAA", &known[..known.len() - 4]);
    for device in [eve.device.unwrap(), forged, "x".repeat(58)] {
        let mut browser = app.browser();
        browser.device = Some(device);
        assert_blocked(&browser.log_in("ada@example.com", PASSWORD).await);
    }
    let mut without_session = app.browser();
    without_session.device = Some(known.clone());
    without_session.whoami().await.assert_refused();
    let mut instead_of_session = app.browser();
    instead_of_session.token = Some(known);
    instead_of_session.whoami().await.assert_refused();
    let year = Duration::from_hours(365 * 24);
    app.let_pass(year);
    fail(&app, "ada@example.com", 3).await;
    let answer = without_session.log_in("ada@example.com", PASSWORD).await;
    assert_blocked(&answer);
}

/// Whoever knew the old one may have logged in with any number of them.
#[tokio::test]
async fn after_a_new_password_the_other_browsers_are_strangers() {
    let app = TestApp::spawn_with(Embedded, &[THREE]).await;
    let mut old = app.registered("ada@example.com").await;
    let mut here = app.logged_in("ada@example.com").await;
    let new = "a longer horse battery staple";
    assert_eq!(here.change_password(PASSWORD, new).await.status, 204);
    fail(&app, "ada@example.com", 3).await;
    assert_blocked(&old.log_in("ada@example.com", new).await);
    assert_eq!(here.log_in("ada@example.com", new).await.status, 200);
}

#[tokio::test]
async fn the_device_cookie_is_for_a_year_and_for_servers_alone() {
    let https = [("GATELODGE_SERVER__PUBLIC_URL", "https://auth.example.com")];
    let app = TestApp::spawn_with(Embedded, &https).await;
    let body = json!({ "email": "ada@example.com", "name": "Ada", "password": PASSWORD });
    let request = app.browser().request(Method::POST, "/api/register");
    let answer = request.json(&body).send().await.unwrap();
    let cookies = answer.headers().get_all("set-cookie").iter();
    let cookies: Vec<_> = cookies.map(|it| it.to_str().unwrap()).collect();
    let device = cookies[1]
        .strip_prefix(&format!("__Host-{DEVICE_NAME}="))
        .unwrap();
    let (_, attributes) = device.split_once("; ").unwrap();
    let expected = "Max-Age=31536000; Path=/; Secure; HttpOnly; SameSite=Lax";
    assert_eq!((attributes, cookies.len()), (expected, 2));
}

#[tokio::test]
async fn guesses_spread_over_accounts_are_counted_by_address() {
    let app = TestApp::spawn_with(Embedded, &[THREE, FIVE_PER_ADDRESS, PROXIED]).await;
    app.registered("ada@example.com").await;
    for n in 0..5 {
        let (address, email) = (
            format!("2001:db8::{n}"),
            format!("user{}@example.com", n / 2),
        );
        let answer = try_from(&app, &address, &email, WRONG).await;
        answer.assert_problem(401, "invalid_credentials");
    }
    for (address, status) in [
        ("2001:db8::ffff:1:2:3", 429),
        ("2001:db8:0:1::1", 200),
        ("203.0.113.9", 200),
    ] {
        let answer = try_from(&app, address, "ada@example.com", PASSWORD).await;
        assert_eq!(answer.status, status, "{address}: {}", answer.text);
    }
    app.let_pass(WINDOW);
    let answer = try_from(&app, "2001:db8::1", "ada@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn an_account_of_ones_own_buys_no_guesses_at_others() {
    let app = TestApp::spawn_with(Embedded, &[THREE, FIVE_PER_ADDRESS]).await;
    app.registered("eve@example.com").await;
    for n in 0..5 {
        fail(&app, &format!("user{n}@example.com"), 1).await;
        if n < 4 {
            assert_eq!(try_in(&app, "eve@example.com", PASSWORD).await.status, 200);
        }
    }
    assert_blocked(&try_in(&app, "ada@example.com", WRONG).await);
}

#[tokio::test]
async fn five_hundred_guesses_at_three_instances_at_once_are_ten() {
    let per_address = ("GATELODGE_THROTTLE__MAX_ATTEMPTS_PER_IP", "1000");
    let first = TestApp::spawn_with(Scaled, &[per_address]).await;
    let instances = [
        first.another_instance().await,
        first.another_instance().await,
    ];
    first.registered("ada@example.com").await;
    let addresses = [first.address, instances[0].address, instances[1].address];
    let guesses = (0..500).map(|n| {
        let mut browser = Browser::new(addresses[n % 3]);
        async move { browser.log_in("ada@example.com", WRONG).await.status }
    });
    let statuses = join_all(guesses).await;
    let count = |status| statuses.iter().filter(|it| **it == status).count();
    assert_eq!(count(401), 10);
    assert_eq!(count(401) + count(429) + count(503), 500, "{statuses:?}");
    assert_blocked(&try_in(&first, "ada@example.com", PASSWORD).await);
}

#[rstest]
#[tokio::test]
async fn right_passwords_wait_for_each_other(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn_with(stack, &[THREE]).await;
    app.registered("ada@example.com").await;
    let log_ins = (0..20).map(|_| try_in(&app, "ada@example.com", PASSWORD));
    for answer in join_all(log_ins).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}

async fn failures(root: &mut Browser, path: &str) -> Value {
    let answer = root.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn what_nobody_looked_at_is_not_counted() {
    let one_at_a_time = [
        ("GATELODGE_PASSWORD__HASH_QUEUE", "1"),
        ("GATELODGE_PASSWORD__BCRYPT_COST", "10"),
    ];
    let app = TestApp::spawn_with(Embedded, &one_at_a_time).await;
    let ada = app.registered("ada@example.com").await.user_id().await;
    let mut root = app.admin().await;
    let log_ins = (0..10).map(|_| try_in(&app, "ada@example.com", WRONG));
    let answers = join_all(log_ins).await;
    let count = |status| answers.iter().filter(|it| it.status == status).count();
    assert!(count(503) > 0, "the queue is full");
    assert_eq!(count(401) + count(503), 10);
    let attempts = failures(&mut root, &format!("/api/admin/users/{ada}/attempts")).await;
    assert_eq!(attempts["failures"], count(401));
}

#[tokio::test]
async fn admins_see_and_clear_attempts_of_an_account() {
    let app = TestApp::spawn_with(Embedded, &[THREE]).await;
    let mut ada = app.registered("ada@example.com").await;
    let id = ada.user_id().await;
    let path = format!("/api/admin/users/{id}/attempts");
    let mut root = app.admin().await;
    let none = json!({ "failures": 0, "blocked_until": null });
    assert_eq!(failures(&mut root, &path).await, none);
    fail(&app, "ada@example.com", 3).await;
    for _ in 0..3 {
        ada.log_in("ada@example.com", WRONG).await;
    }
    let attempts = failures(&mut root, &path).await;
    assert_eq!(attempts["failures"], 3);
    assert!(attempts["blocked_until"].is_string());
    let page = root.page(&format!("/admin/users/{id}")).await;
    assert!(
        page.text.contains("3 in a row; none is tried until"),
        "{}",
        page.text
    );

    assert_eq!(root.delete(&path).await.status, 204);
    assert_eq!(failures(&mut root, &path).await, none);
    for browser in [&mut ada, &mut app.browser()] {
        assert_eq!(
            browser.log_in("ada@example.com", PASSWORD).await.status,
            200
        );
    }
    let clear = format!("/admin/users/{id}/clear-attempts");
    fail(&app, "ada@example.com", 3).await;
    let done = root.submit(&clear, &[]).await;
    assert_eq!(done.status, 303);
    app.logged_in("ada@example.com").await;

    let events = root.get("/api/admin/events?action=attempts_cleared").await;
    let events = events.json();
    assert_eq!(events["events"].as_array().unwrap().len(), 2);
    assert_eq!(events["events"][0]["subject_id"], id);
    let events = root.get("/api/admin/events?action=throttled").await;
    let events = events.json();
    let details: Vec<_> = events["events"].as_array().unwrap().iter().rev().collect();
    let details: Vec<_> = details.iter().map(|it| it["detail"].clone()).collect();
    assert_eq!(details, ["account", "device", "account"]);
}

#[tokio::test]
async fn admins_see_and_clear_attempts_of_an_address() {
    let app = TestApp::spawn_with(Embedded, &[THREE, FIVE_PER_ADDRESS]).await;
    app.registered("ada@example.com").await;
    let mut root = app.admin().await;
    for n in 0..5 {
        fail(&app, &format!("user{n}@example.com"), 1).await;
    }
    let path = "/api/admin/addresses/127.0.0.1/attempts";
    assert_eq!(failures(&mut root, path).await["failures"], 5);
    assert_blocked(&try_in(&app, "ada@example.com", PASSWORD).await);
    assert_eq!(root.delete(path).await.status, 204);
    app.logged_in("ada@example.com").await;
    let wrong = root.get("/api/admin/addresses/localhost/attempts").await;
    wrong.assert_problem(404, "not_found");
}

/// A new password makes guesses at the old one worth nothing.
#[tokio::test]
async fn a_new_password_by_link_lets_its_holder_in_at_once() {
    let app = TestApp::spawn_with(Embedded, &[THREE]).await;
    let id = app.registered("ada@example.com").await.user_id().await;
    fail(&app, "ada@example.com", 3).await;
    let mut root = app.admin().await;
    let link = root
        .post(&format!("/api/admin/users/{id}/password-link"), &json!({}))
        .await;
    let link = link.json()["password_link"].as_str().unwrap().to_owned();
    let (_, token) = link.split_once("token=").unwrap();
    let body = json!({ "token": token, "new_password": "another horse battery staple" });
    let redeemed = app.browser().post("/api/password/redeem", &body).await;
    assert_eq!(redeemed.status, 204, "{}", redeemed.text);
    let answer = try_in(&app, "ada@example.com", "another horse battery staple").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}
