//! What an instance does that is told to stop.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::{Connection as _, PgConnection};

use crate::support::Stack::Scaled;
use crate::support::app::TestDatabase;
use crate::support::proxy::{FaultProxy, Mode};
use crate::support::{Browser, TestApp};

/// The threads that answer requests end one by one, and what they have opened is
/// still needed: by a request under way, and for the last that is to be written.
#[tokio::test]
async fn what_is_under_way_is_finished_and_what_is_due_is_written() {
    let database = TestDatabase::create().await;
    let (to_ledger, url) = FaultProxy::before_url(&database.url);
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("GATELODGE_SERVER__WORKERS", "4"),
    ];
    let mut app = TestApp::spawn_with(Scaled, &settings).await;
    let mut ada = app.registered("ada@example.com").await;
    let others = (0..8).map(|_| app.logged_in("ada@example.com"));
    let mut others = join_all(others).await;
    // At once, so that each thread opens connections.
    to_ledger.set(Mode::Delay(Duration::from_millis(10)));
    let lists = join_all(others.iter_mut().map(Browser::list_sessions)).await;
    assert!(lists.iter().all(|answer| answer.status == 200));
    drop(others);

    let mut ledger = PgConnection::connect(&database.url).await.unwrap();
    let mut count = async |sql| {
        let (count,): (i64,) = sqlx::query_as(sql).fetch_one(&mut ledger).await.unwrap();
        count
    };
    assert_eq!(count("select count(*) from instances").await, 1);
    app.let_pass(Duration::from_mins(10));
    to_ledger.set(Mode::Delay(Duration::from_millis(100)));
    let under_way = tokio::spawn(async move { ada.list_sessions().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    app.stop().await;
    assert_eq!(under_way.await.unwrap().status, 200);
    let seen = "select count(*) from sessions where last_seen_at > now() + interval '9 minutes'";
    assert_eq!(count(seen).await, 1);
    assert_eq!(count("select count(*) from instances").await, 0);
}
