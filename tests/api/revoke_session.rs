use rstest::rstest;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::TestApp;

#[rstest]
#[tokio::test]
async fn one_session_ends_and_no_other(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut lost = app.logged_in("ada@example.com").await;
    let mut third = app.logged_in("ada@example.com").await;
    let id = lost.session_id().await;

    let answer = ada.revoke_session(&id).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    lost.whoami().await.assert_refused();
    assert_eq!(ada.whoami().await.status, 200);
    assert_eq!(third.whoami().await.status, 200);
    ada.revoke_session(&id)
        .await
        .assert_problem(404, "not_found");
}

#[rstest]
#[tokio::test]
async fn a_session_can_end_itself(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let own = ada.session_id().await;
    let answer = ada.revoke_session(&own).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.set_cookies(), Vec::<&str>::new());
    ada.whoami().await.assert_refused();
}

#[rstest]
#[tokio::test]
async fn anothers_session_is_as_unknown_as_a_random_one(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut bob = app.registered("bob@example.com").await;
    let bobs = bob.session_id().await;
    let anothers = ada.revoke_session(&bobs).await;
    let random = ada.revoke_session(&uuid::Uuid::now_v7().to_string()).await;
    anothers.assert_problem(404, "not_found");
    assert_eq!(anothers.text, random.text);
    ada.revoke_session("not-an-id")
        .await
        .assert_problem(404, "not_found");
    assert_eq!(bob.whoami().await.status, 200);
}

#[tokio::test]
async fn who_is_not_logged_in_ends_nothing() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    let id = ada.session_id().await;
    app.browser().revoke_session(&id).await.assert_refused();
    assert_eq!(ada.whoami().await.status, 200);
}
