//! A million sessions of a hundred thousand users, in PostgreSQL. In a binary of
//! its own, and one test after the other, so that nothing else runs meanwhile: the
//! figures are what an operator is promised. `cargo test --test scale -- --nocapture`
//! shows them.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and one that measures says what"
)]

mod lists;
mod revocation;

#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the other tests stand on the rest of it"
)]
mod support;

use gatelodge::store::ledger::Ledger;
use sqlx::{Connection as _, PgConnection};

use support::app::TestDatabase;

/// A database with everybody in it, on the day that began at 1 799 913 600 s.
async fn crowd() -> TestDatabase {
    let database = TestDatabase::create().await;
    let ledger = Ledger::connect(&database.url, 2).await.unwrap();
    ledger.migrate().await.unwrap();
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql(include_str!("population.sql"))
        .execute(&mut connection)
        .await
        .unwrap();
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_bulk_revocations_keep_their_promises_over_a_million_sessions() {
    let database = crowd().await;
    lists::every_page_goes_by_an_index_and_is_there_in_time(&database).await;
    revocation::a_hundred_thousand_sessions_end_in_time_and_checks_are_left_alone(&database).await;
}
