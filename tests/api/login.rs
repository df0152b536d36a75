use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::TestApp;
use crate::support::app::PASSWORD;

#[rstest]
#[tokio::test]
async fn the_right_password_opens_a_session(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    app.registered("ada@example.com").await;
    let mut browser = app.browser();
    let answer = browser.log_in("ADA@example.com", PASSWORD).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.json()["user"]["email"], "ada@example.com");
    assert!(!answer.text.contains("hash"));
    assert_eq!(browser.whoami().await.json(), answer.json());
}

#[rstest]
#[tokio::test]
async fn nobody_learns_what_was_wrong(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    app.registered("ada@example.com").await;
    let wrong = app
        .browser()
        .log_in("ada@example.com", "not the password at all")
        .await;
    let unknown = app.browser().log_in("bob@example.com", PASSWORD).await;

    wrong.assert_problem(401, "invalid_credentials");
    assert_eq!(unknown.text, wrong.text);
    let names = |headers: &reqwest::header::HeaderMap| {
        let mut names: Vec<_> = headers.keys().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(names(&unknown.headers), names(&wrong.headers));
}

#[tokio::test]
async fn a_locked_account_looks_like_a_wrong_password() {
    let app = TestApp::spawn(Scaled).await;
    app.registered("ada@example.com").await;
    let wrong = app
        .browser()
        .log_in("ada@example.com", "not the password at all")
        .await;
    let mut ledger = PgConnection::connect(app.database_url()).await.unwrap();
    sqlx::query("update users set status = 'locked'")
        .execute(&mut ledger)
        .await
        .unwrap();
    let locked = app.browser().log_in("ada@example.com", PASSWORD).await;
    locked.assert_problem(401, "invalid_credentials");
    assert_eq!(locked.text, wrong.text);
}

#[rstest]
#[tokio::test]
async fn passwords_that_differ_late_or_after_nul_are_different(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn(stack).await;
    let long = "a long password that goes on and on for more than seventy-two bytes, and then some";
    assert!(long.len() > 72);
    app.browser()
        .register("ada@example.com", &format!("{long} 1"))
        .await;
    app.browser()
        .register("bob@example.com", "a password with\0 one end")
        .await;

    let attempts = [
        ("ada@example.com", format!("{long} 1"), 200),
        ("ada@example.com", format!("{long} 2"), 401),
        ("ada@example.com", long[..72].to_owned(), 401),
        (
            "bob@example.com",
            "a password with\0 one end".to_owned(),
            200,
        ),
        (
            "bob@example.com",
            "a password with\0 another".to_owned(),
            401,
        ),
        ("bob@example.com", "a password with".to_owned(), 401),
    ];
    for (email, password, status) in attempts {
        let answer = app.browser().log_in(email, &password).await;
        assert_eq!(answer.status, status, "{password:?}");
    }
}

#[rstest]
#[tokio::test]
async fn a_session_presented_with_the_log_in_is_ended_and_never_adopted(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut before = ada.clone();
    assert_eq!(ada.log_in("ada@example.com", PASSWORD).await.status, 200);
    assert_ne!(ada.token, before.token);
    before.whoami().await.assert_refused();
    assert_eq!(ada.whoami().await.status, 200);

    // Somebody else's, still alive, is ended too; an invented one is not taken over.
    let mut other = app.registered("bob@example.com").await;
    let mut bobs = other.clone();
    assert_eq!(other.log_in("ada@example.com", PASSWORD).await.status, 200);
    bobs.whoami().await.assert_refused();
    let mut invented = app.browser();
    invented.token = Some("invented".to_owned());
    assert_eq!(
        invented.log_in("ada@example.com", PASSWORD).await.status,
        200
    );
    assert_ne!(invented.token.as_deref(), Some("invented"));
}

#[tokio::test]
async fn a_failed_log_in_leaves_the_present_session_alone() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    let answer = ada
        .log_in("ada@example.com", "not the password at all")
        .await;
    answer.assert_problem(401, "invalid_credentials");
    assert_eq!(ada.whoami().await.status, 200);
}

#[rstest]
#[tokio::test]
async fn to_be_remembered_is_to_be_asked_for(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    app.registered("ada@example.com").await;
    let mut browser = app.browser();
    let session = browser.log_in("ada@example.com", PASSWORD).await;
    assert!(!session.set_cookies()[0].contains("Max-Age"));
    assert_eq!(session.json()["session"]["remember_me"], false);

    let mut remembered = app.browser();
    let answer = remembered.log_in_remembered("ada@example.com").await;
    assert!(
        answer.set_cookies()[0].contains("; Max-Age=2592000;"),
        "30 days"
    );
    assert_eq!(answer.json()["session"]["remember_me"], true);

    app.let_pass(Duration::from_hours(25));
    browser.whoami().await.assert_refused();
    assert_eq!(remembered.whoami().await.status, 200);
}

#[rstest]
#[tokio::test]
async fn over_the_limit_the_oldest_session_ends(#[values(Embedded, Scaled)] stack: Stack) {
    let limit = [("GATELODGE_SESSION__MAX_PER_USER", "2")];
    let app = TestApp::spawn_with(stack, &limit).await;
    let mut first = app.registered("ada@example.com").await;
    let mut second = app.logged_in("ada@example.com").await;
    assert_eq!(first.whoami().await.status, 200);
    let mut third = app.logged_in("ada@example.com").await;
    first.whoami().await.assert_refused();
    assert_eq!(second.whoami().await.status, 200);
    assert_eq!(third.whoami().await.status, 200);
}

#[rstest]
#[tokio::test]
async fn the_limit_holds_for_log_ins_at_once(#[values(Embedded, Scaled)] stack: Stack) {
    let limit = [("GATELODGE_SESSION__MAX_PER_USER", "3")];
    let app = TestApp::spawn_with(stack, &limit).await;
    app.registered("ada@example.com").await;
    let attempts: Vec<_> = (0..12)
        .map(|_| {
            let mut browser = app.browser();
            tokio::spawn(async move {
                assert_eq!(
                    browser.log_in("ada@example.com", PASSWORD).await.status,
                    200
                );
                browser
            })
        })
        .collect();
    let mut browsers = Vec::new();
    for attempt in attempts {
        browsers.push(attempt.await.unwrap());
    }
    let mut alive = 0;
    for browser in &mut browsers {
        alive += usize::from(browser.whoami().await.status == 200);
    }
    assert_eq!(alive, 3);
}

#[tokio::test]
async fn bad_input_is_told_apart_from_wrong_credentials() {
    let app = TestApp::spawn(Embedded).await;
    for (body, fields) in [
        (json!({}), vec!["email", "password"]),
        (json!({ "email": "x", "password": PASSWORD }), vec!["email"]),
        (
            json!({ "email": "a@example.com", "password": "" }),
            vec!["password"],
        ),
        (
            json!({ "email": "a@example.com", "password": "p".repeat(1025) }),
            vec!["password"],
        ),
        (json!({ "email": 5, "password": PASSWORD }), vec!["email"]),
        (
            json!({ "email": "a@example.com", "password": 123_456_789 }),
            vec!["password"],
        ),
        (
            json!({ "email": "a@example.com", "password": PASSWORD, "remember_me": "yes" }),
            vec!["remember_me"],
        ),
        (
            json!({ "email": "a@example.com", "password": PASSWORD, "next": "/" }),
            vec!["next"],
        ),
    ] {
        let mut browser = app.browser();
        let answer = browser
            .send(browser.request(Method::POST, "/api/login").json(&body))
            .await;
        assert_eq!(answer.wrong_fields(), fields, "{body}");
        assert!(
            !answer.text.contains("123456789"),
            "a password never comes back"
        );
    }
}

#[tokio::test]
async fn names_that_mean_something_elsewhere_mean_nothing_here() {
    let app = TestApp::spawn(Scaled).await;
    app.registered("ada@example.com").await;
    for email in [
        "' OR 1=1 --@example.com",
        "*@example.com",
        "{x}:y@example.com",
        "[a-z]*@example.com",
        "a%00da@example.com",
    ] {
        let answer = app.browser().log_in(email, PASSWORD).await;
        assert!(
            matches!(answer.status, 401 | 422),
            "{email}: {}",
            answer.text
        );
    }
}
