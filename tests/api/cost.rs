//! What a request costs, in work that can be counted.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::support::Stack::{Embedded, Scaled};
use crate::support::TestApp;
use crate::support::app::{PASSWORD, TestDatabase};
use crate::support::postgres_proxy::PostgresProxy;
use crate::support::servers::POSTGRES;

/// An instance whose only connection to PostgreSQL is counted.
async fn counted() -> (TestApp, PostgresProxy) {
    let (_, server) = POSTGRES.url.rsplit_once('@').unwrap();
    let (server, _) = server.split_once('/').unwrap();
    let proxy = PostgresProxy::before(server.to_owned()).await;
    let database = TestDatabase::create().await;
    let url = database.url.replace(server, &proxy.address.to_string()) + "?sslmode=disable";
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("GATELODGE_DATABASE__MAX_CONNECTIONS", "1"),
    ];
    (TestApp::spawn_with(Scaled, &settings).await, proxy)
}

#[tokio::test]
async fn a_log_in_takes_two_transactions_and_six_round_trips() {
    let (app, proxy) = counted().await;
    app.registered("ada@example.com").await;
    app.logged_in("ada@example.com").await;

    // The least of a few: the poll's statements pass here as well.
    let mut least = (usize::MAX, usize::MAX);
    for _ in 0..5 {
        proxy.take();
        app.logged_in("ada@example.com").await;
        let (round_trips, transactions) = proxy.take();
        least = (least.0.min(round_trips), least.1.min(transactions));
    }
    let (round_trips, transactions) = least;
    assert_eq!((transactions, round_trips), (4, 10));
}

/// So that time does not tell why.
#[tokio::test]
async fn a_refused_log_in_takes_as_many_whatever_the_reason() {
    let (app, proxy) = counted().await;
    let mut root = app.admin().await;
    app.registered("ada@example.com").await;
    let bob = app.registered("bob@example.com").await.user_id().await;
    let lock = format!("/api/admin/users/{bob}/lock");
    assert_eq!(root.post(&lock, &json!({})).await.status, 200);

    let mut costs = Vec::new();
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        ("ada@example.com", "not the password at all"),
        ("bob@example.com", "not the password at all"),
        ("bob@example.com", PASSWORD),
    ] {
        let mut least = (usize::MAX, usize::MAX);
        for _ in 0..5 {
            proxy.take();
            let answer = app.browser().log_in(email, password).await;
            answer.assert_problem(401, "invalid_credentials");
            let (round_trips, transactions) = proxy.take();
            least = (least.0.min(round_trips), least.1.min(transactions));
        }
        costs.push(least);
    }
    assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
}

/// How long a refused log-in takes at the least, of a few.
async fn refused_in(app: &TestApp, email: &str) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        let answer = app.browser().log_in(email, "not the password at all").await;
        least = least.min(started.elapsed());
        answer.assert_problem(401, "invalid_credentials");
    }
    least
}

#[tokio::test]
async fn an_account_that_does_not_exist_costs_a_hash_as_well() {
    let cost = [("GATELODGE_PASSWORD__BCRYPT_COST", "10")];
    let app = TestApp::spawn_with(Embedded, &cost).await;
    app.registered("ada@example.com").await;
    let wrong = refused_in(&app, "ada@example.com").await;
    let unknown = refused_in(&app, "bob@example.com").await;
    assert!(unknown > wrong / 2, "{unknown:?}, {wrong:?}");
    assert!(wrong > unknown / 2, "{wrong:?}, {unknown:?}");
}

/// Shown by taking the session out of the ledger behind the service's back: it
/// is not asked.
#[tokio::test]
async fn a_check_with_a_copy_at_hand_asks_no_database() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut ledger = SqliteConnection::connect(app.database_url()).await.unwrap();
    sqlx::query("delete from sessions")
        .execute(&mut ledger)
        .await
        .unwrap();
    assert_eq!(ada.whoami().await.status, 200);

    let app = TestApp::spawn(Scaled).await;
    let mut bob = app.registered("bob@example.com").await;
    let mut ledger = PgConnection::connect(app.database_url()).await.unwrap();
    sqlx::query("delete from sessions")
        .execute(&mut ledger)
        .await
        .unwrap();
    assert_eq!(bob.whoami().await.status, 200);
    assert_eq!(
        app.browser()
            .log_in("bob@example.com", PASSWORD)
            .await
            .status,
        200
    );
}
