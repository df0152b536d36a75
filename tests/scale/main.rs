//! A million sessions of a hundred thousand users, in PostgreSQL; thousands of clients
//! that are slow. In a binary of its own, and one test after the other, so that nothing
//! else runs meanwhile: the figures are what an operator is promised. `cargo test --test scale -- --nocapture`
//! shows them.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and one that measures says what"
)]

mod lists;
mod revocation;
mod slow;

#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the other tests stand on the rest of it"
)]
mod support;

use support::app::crowd;
use tokio::sync::Mutex;

/// Held by the test that runs.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_bulk_revocations_keep_their_promises_over_a_million_sessions() {
    let _alone = ALONE.lock().await;
    let database = crowd().await;
    lists::every_page_goes_by_an_index_and_is_there_in_time(&database).await;
    revocation::a_hundred_thousand_sessions_end_in_time_and_checks_are_left_alone(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_slow_clients_slow_down_nobody_else() {
    let _alone = ALONE.lock().await;
    slow::thousands_of_slow_clients_slow_down_nobody_else().await;
}
