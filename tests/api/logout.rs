use rstest::rstest;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::{TestApp, eventually};

#[rstest]
#[tokio::test]
async fn a_session_logged_out_is_dead_even_for_who_kept_the_cookie(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut elsewhere = app.logged_in("ada@example.com").await;
    let mut thief = ada.clone();
    let answer = ada.log_out().await;

    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.header("clear-site-data"),
        Some("\"cache\", \"storage\"")
    );
    let removal = ["gatelodge_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"];
    assert_eq!(answer.set_cookies(), removal);
    thief.whoami().await.assert_refused();
    assert_eq!(elsewhere.whoami().await.status, 200);
}

#[rstest]
#[tokio::test]
async fn logging_out_again_or_never_logged_in_is_fine(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let ada = app.registered("ada@example.com").await;
    for token in [ada.token.clone(), ada.token, Some("junk".to_owned()), None] {
        let mut browser = app.browser();
        browser.token = token;
        let answer = browser.log_out().await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.set_cookies().len(), 1, "the cookie is removed");
        assert_eq!(browser.token, None);
    }
}

/// The ledger deletes what it has not heard of for long, though others may have seen
/// it: one that knows it, or finds the copy in Redis.
#[rstest]
#[tokio::test]
async fn what_the_ledger_has_lost_is_ended_where_there_are_copies(
    #[values(false, true)] knows: bool,
    #[values(false, true)] logs_in: bool,
) {
    let app = TestApp::spawn(Scaled).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut thief = ada.clone();
    let other = app.another_instance().await;
    let mut elsewhere = ada.at(other.address);
    assert_eq!(elsewhere.whoami().await.status, 200);
    app.lose_sessions().await;
    for browser in [&mut thief, &mut elsewhere] {
        assert_eq!(browser.whoami().await.status, 200);
    }

    let fresh = app.another_instance().await;
    ada = ada.at(if knows { app.address } else { fresh.address });
    if logs_in {
        assert_eq!(ada.log_in("ada@example.com", PASSWORD).await.status, 200);
    } else {
        assert_eq!(ada.log_out().await.status, 204);
    }
    for browser in [&mut thief, &mut elsewhere] {
        eventually("it is refused", async || {
            browser.whoami().await.status == 401
        })
        .await;
    }
    thief.at(fresh.address).whoami().await.assert_refused();
}
