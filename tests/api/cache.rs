//! What an instance remembers of sessions, and what it does not believe.

use std::time::Duration;

use gatelodge::config::secret_key;
use gatelodge::domain::digest::TokenDigest;
use gatelodge::domain::keys::KeyRing;
use gatelodge::domain::token::Token;
use gatelodge::entropy;
use sqlx::{Connection as _, PgConnection};
use zeroize::Zeroizing;

use crate::support::Stack::Scaled;
use crate::support::{Browser, TestApp, eventually};

/// Shown by taking the session away behind the service's back.
#[tokio::test]
async fn what_is_remembered_nobody_is_asked_for() {
    let app = TestApp::spawn(Scaled).await;
    let mut ada = app.registered("ada@example.com").await;
    let fresh = app.another_instance().await;
    app.empty_redis().await;
    app.lose_sessions().await;
    assert_eq!(ada.whoami().await.status, 200);
    ada.at(fresh.address).whoami().await.assert_refused();
}

/// A genuine token that the ledger does not know, and the browser that has it.
fn stranger(app: &TestApp) -> (Browser, TokenDigest) {
    let key = secret_key(&app.environment()["GATELODGE_SECRETS__KEYS"]).unwrap();
    let keys = KeyRing::new(&key, &[]);
    let token = Token::mint(&Zeroizing::new(entropy::random()), &keys);
    let mut browser = app.browser();
    browser.token = Some(token.expose().to_string());
    (browser, token.digest())
}

/// Shown by making it known behind the service's back, which nobody else can.
#[tokio::test]
async fn what_the_ledger_does_not_know_it_is_asked_once() {
    let app = TestApp::spawn(Scaled).await;
    app.registered("ada@example.com").await;
    let (mut stranger, digest) = stranger(&app);
    stranger.whoami().await.assert_refused();

    let mut ledger = PgConnection::connect(app.database_url()).await.unwrap();
    let renamed = sqlx::query("update sessions set digest = $1")
        .bind(&digest.as_bytes()[..])
        .execute(&mut ledger);
    assert_eq!(renamed.await.unwrap().rows_affected(), 1);
    stranger.whoami().await.assert_refused();
    let fresh = app.another_instance().await;
    assert_eq!(stranger.at(fresh.address).whoami().await.status, 200);
}

/// Shown by prolonging it behind the service's back, which nobody else can.
#[tokio::test]
async fn what_the_ledger_knows_as_expired_it_is_asked_for_once() {
    let app = TestApp::spawn_with(Scaled, &[("GATELODGE_SESSION__LIFETIME", "2h")]).await;
    let ada = app.registered("ada@example.com").await;
    app.empty_redis().await;
    app.let_pass(Duration::from_mins(121));
    let other = app.another_instance().await;
    let mut ada = ada.at(other.address);
    ada.whoami().await.assert_refused();

    let mut ledger = PgConnection::connect(app.database_url()).await.unwrap();
    let prolonged = sqlx::query(
        "update sessions set expires_at = now() + interval '1 day', \
         last_seen_at = now() + interval '2 hours'",
    );
    let prolonged = prolonged.execute(&mut ledger).await.unwrap();
    assert_eq!(prolonged.rows_affected(), 1);
    ada.whoami().await.assert_refused();
    let fresh = app.another_instance().await;
    assert_eq!(ada.at(fresh.address).whoami().await.status, 200);
}

/// Nobody can end it any more, but for the copies.
#[tokio::test]
async fn what_the_ledger_has_lost_is_believed_until_the_ledger_is_told_of_it() {
    let app = TestApp::spawn(Scaled).await;
    let mut ada = app.registered("ada@example.com").await;
    let other = app.another_instance().await;
    let mut elsewhere = ada.at(other.address);
    assert_eq!(elsewhere.whoami().await.status, 200);
    app.lose_sessions().await;
    app.let_pass(Duration::from_mins(10));
    for browser in [&mut ada, &mut elsewhere] {
        assert_eq!(browser.whoami().await.status, 200);
        eventually("it is refused", async || {
            browser.whoami().await.status == 401
        })
        .await;
    }
    assert_eq!(app.redis_copy().await, None);
}

#[tokio::test]
async fn a_session_that_is_forgotten_is_found_again() {
    let app = TestApp::spawn_with(Scaled, &[("GATELODGE_SESSION__CACHE_CAPACITY", "1")]).await;
    let mut users = Vec::new();
    for n in 0..20 {
        users.push(app.registered(&format!("user{n}@example.com")).await);
    }
    for _ in 0..3 {
        for (n, user) in users.iter_mut().enumerate() {
            let email = user.whoami().await.json()["user"]["email"].clone();
            assert_eq!(email, format!("user{n}@example.com"));
        }
    }
    for user in &mut users {
        assert_eq!(user.log_out().await.status, 204);
    }
    for user in &mut users {
        user.whoami().await.assert_refused();
    }
}
