use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::TestApp;

#[rstest]
#[tokio::test]
async fn a_user_sees_their_own_sessions_newest_first(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut first = app.registered("ada@example.com").await;
    app.registered("bob@example.com").await;
    app.let_pass(Duration::from_secs(1));
    let mut second = app.logged_in("ada@example.com").await;

    let listed = first.list_sessions().await.json();
    let sessions = listed["sessions"].as_array().unwrap();
    let ids: Vec<_> = sessions
        .iter()
        .map(|session| session["id"].clone())
        .collect();
    let expected = [second.session_id().await, first.session_id().await];
    assert_eq!(ids, expected.map(Value::from));
    let current: Vec<_> = sessions
        .iter()
        .map(|session| session["current"].clone())
        .collect();
    assert_eq!(current, [false, true]);
}

#[rstest]
#[tokio::test]
async fn what_has_ended_is_not_listed(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    app.registered("ada@example.com").await;
    app.logged_in("ada@example.com").await.log_out().await;
    app.let_pass(Duration::from_hours(3));
    let mut fresh = app.logged_in("ada@example.com").await;
    let listed = fresh.list_sessions().await.json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1, "{listed}");
}

#[rstest]
#[tokio::test]
async fn the_id_that_is_shown_opens_nothing(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut thief = app.browser();
    thief.token = Some(ada.session_id().await);
    thief.whoami().await.assert_refused();
}

#[tokio::test]
async fn who_is_not_logged_in_sees_nothing() {
    let app = TestApp::spawn(Embedded).await;
    app.browser().list_sessions().await.assert_refused();
}
