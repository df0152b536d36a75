use rstest::rstest;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::TestApp;
use crate::support::app::PASSWORD;

const NEW: &str = "an entirely new password";

#[rstest]
#[tokio::test]
async fn a_new_password_ends_every_session_and_opens_one(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut before = ada.clone();
    let mut other = app.logged_in("ada@example.com").await;

    let answer = ada.change_password(PASSWORD, NEW).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_ne!(ada.token, before.token);
    before.whoami().await.assert_refused();
    other.whoami().await.assert_refused();
    assert_eq!(ada.whoami().await.status, 200);
    assert_eq!(
        app.browser().log_in("ada@example.com", NEW).await.status,
        200
    );
    let old = app.browser().log_in("ada@example.com", PASSWORD).await;
    old.assert_problem(401, "invalid_credentials");
}

#[rstest]
#[tokio::test]
async fn the_current_password_must_be_right(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let answer = ada.change_password("not the password at all", NEW).await;
    answer.assert_problem(403, "wrong_password");
    assert_eq!(ada.whoami().await.status, 200);
    assert_eq!(
        app.browser().log_in("ada@example.com", NEW).await.status,
        401
    );
}

#[tokio::test]
async fn the_new_password_must_be_good_enough() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    let answer = ada.change_password(PASSWORD, "too short").await;
    assert_eq!(answer.wrong_fields(), ["new_password"]);
    app.browser()
        .change_password(PASSWORD, NEW)
        .await
        .assert_refused();
}

#[rstest]
#[tokio::test]
async fn of_two_changes_at_once_the_first_ends_the_other(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let ada = app.registered("ada@example.com").await;
    let attempts: Vec<_> = (0..5)
        .map(|n| {
            let mut browser = ada.clone();
            tokio::spawn(async move {
                let new = format!("an entirely new password {n}");
                (
                    browser.change_password(PASSWORD, &new).await.status,
                    browser,
                    new,
                )
            })
        })
        .collect();
    let mut winners = Vec::new();
    for attempt in attempts {
        let (status, browser, password) = attempt.await.unwrap();
        match status {
            204 => winners.push((browser, password)),
            status => assert!(matches!(status, 401 | 403), "{status}"),
        }
    }
    let [(winner, password)] = winners.as_mut_slice() else {
        panic!("{} changes went through", winners.len())
    };
    assert_eq!(winner.whoami().await.status, 200);
    assert_eq!(
        app.browser()
            .log_in("ada@example.com", password)
            .await
            .status,
        200
    );
}
