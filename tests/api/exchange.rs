//! Logging in with a JWT of the system that is left.

use std::time::Duration;

use rstest::rstest;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::foreign::{AUDIENCE, BY_SECRET, ISSUER, Key, claims, encoded, key_set};
use crate::support::{Answer, Browser, TestApp};

const ADA: &str = "ada@example.com";

#[rstest]
#[tokio::test]
async fn a_jwt_of_the_old_system_opens_a_session(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn_with(stack, &BY_SECRET).await;
    app.registered(ADA).await;
    let mut browser = app.browser();
    let jwt = Key::secret().signed(claims(&app, "ADA@example.com"));
    let answer = browser.exchange(&jwt).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["user"]["email"], ADA);
    assert_eq!(answer.json()["session"]["remember_me"], false);
    assert!(!answer.set_cookies()[0].contains("Max-Age"));
    assert_eq!(browser.whoami().await.json(), answer.json());
}
