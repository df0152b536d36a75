use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::TestApp;

#[rstest]
#[tokio::test]
async fn the_others_end(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut bob = app.registered("bob@example.com").await;
    let mut others = [
        app.logged_in("ada@example.com").await,
        app.logged_in("ada@example.com").await,
    ];

    assert_eq!(
        ada.revoke_others().await.json(),
        serde_json::json!({ "revoked": 2 })
    );
    for other in &mut others {
        other.whoami().await.assert_refused();
    }
    assert_eq!(ada.whoami().await.status, 200);
    assert_eq!(bob.whoami().await.status, 200);
    assert_eq!(
        ada.revoke_others().await.json(),
        serde_json::json!({ "revoked": 0 })
    );
}

#[rstest]
#[tokio::test]
async fn who_is_spared_once_is_not_spared_for_ever(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut first = app.registered("ada@example.com").await;
    let mut second = app.logged_in("ada@example.com").await;
    assert_eq!(first.revoke_others().await.status, 200);
    second.whoami().await.assert_refused();
    let mut third = app.logged_in("ada@example.com").await;
    assert_eq!(
        third.revoke_others().await.json(),
        serde_json::json!({ "revoked": 1 })
    );
    first.whoami().await.assert_refused();
    assert_eq!(third.whoami().await.status, 200);
}

#[rstest]
#[tokio::test]
async fn all_end_if_asked_for(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut other = app.logged_in("ada@example.com").await;
    let answer = ada.revoke_all().await;
    assert_eq!(answer.json(), serde_json::json!({ "revoked": 2 }));
    assert_eq!(answer.set_cookies(), Vec::<&str>::new());
    ada.whoami().await.assert_refused();
    other.whoami().await.assert_refused();
    assert_eq!(
        app.logged_in("ada@example.com").await.whoami().await.status,
        200
    );
}

#[tokio::test]
async fn a_query_that_is_not_understood_ends_nothing() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut other = app.logged_in("ada@example.com").await;
    let of_two = "must be true or false";
    for (query, field, message) in [
        ("include_current=yes", "include_current", of_two),
        ("include_current=1", "include_current", of_two),
        ("include_current=TRUE", "include_current", of_two),
        ("include_current=", "include_current", of_two),
        ("wait=effective&include_current", "include_current", of_two),
        (
            "include_curent=true",
            "include_curent",
            "is not a field of this request",
        ),
        (
            "include_current=true&include_current=false",
            "include_current",
            "is given twice",
        ),
    ] {
        let request = ada.request(Method::DELETE, &format!("/api/sessions?{query}"));
        let answer = ada.send(request).await;
        answer.assert_problem(422, "invalid_input");
        let told = json!([{ "field": field, "message": message }]);
        assert_eq!(answer.json()["errors"], told, "{query}");
    }
    assert_eq!(other.whoami().await.status, 200);
    app.browser().revoke_others().await.assert_refused();
}

#[tokio::test]
async fn only_sessions_in_use_are_counted() {
    let app = TestApp::spawn(Embedded).await;
    app.registered("ada@example.com").await;
    app.let_pass(std::time::Duration::from_hours(3));
    app.logged_in("ada@example.com").await;
    let mut ada = app.logged_in("ada@example.com").await;
    assert_eq!(
        ada.revoke_others().await.json(),
        serde_json::json!({ "revoked": 1 })
    );
}
