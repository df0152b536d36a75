use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use serde_json::json;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::{Answer, Browser, TestApp};

const NEW: &str = "another horse battery staple";

async fn link_for(admin: &mut Browser, user: &str) -> String {
    let path = format!("/api/admin/users/{user}/password-link");
    let answer = admin.post(&path, &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.json()["expires_at"].is_string());
    let link = answer.json()["password_link"].as_str().unwrap().to_owned();
    link.split_once("/password?token=").unwrap().1.to_owned()
}

async fn redeem(app: &TestApp, token: &str, new: &str) -> Answer {
    let body = json!({ "token": token, "new_password": new });
    app.browser().post("/api/password/redeem", &body).await
}

/// An admin, a user, and a link for that user.
async fn linked(stack: Stack) -> (TestApp, Browser, Browser, String) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    let token = link_for(&mut root, &ada.user_id().await).await;
    (app, root, ada, token)
}

#[rstest]
#[tokio::test]
async fn a_link_works_once_and_ends_all_sessions(#[values(Embedded, Scaled)] stack: Stack) {
    let (app, _, mut ada, token) = linked(stack).await;
    assert_eq!(redeem(&app, &token, NEW).await.status, 204);
    ada.whoami().await.assert_refused();
    assert_eq!(
        redeem(&app, &token, PASSWORD).await.wrong_fields(),
        ["token"]
    );
    let old = app.browser().log_in("ada@example.com", PASSWORD).await;
    old.assert_problem(401, "invalid_credentials");
    assert_eq!(
        app.browser().log_in("ada@example.com", NEW).await.status,
        200
    );
}

#[rstest]
#[tokio::test]
async fn of_fifty_at_once_one_succeeds(#[values(Embedded, Scaled)] stack: Stack) {
    let (app, _, _, token) = linked(stack).await;
    let passwords: Vec<_> = (0..50)
        .map(|n| format!("correct horse battery {n}"))
        .collect();
    let answers = join_all(passwords.iter().map(|new| redeem(&app, &token, new))).await;
    let won: Vec<_> = answers
        .iter()
        .zip(&passwords)
        .filter(|(a, _)| a.status == 204)
        .collect();
    assert_eq!(won.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 204) {
        // Some wait too long for their hash, on a busy machine.
        assert!([422, 503].contains(&answer.status), "{}", answer.text);
    }
    assert_eq!(
        app.browser()
            .log_in("ada@example.com", won[0].1)
            .await
            .status,
        200
    );
}

#[rstest]
#[tokio::test]
async fn a_link_dies_of_age(#[values(Embedded, Scaled)] stack: Stack) {
    let (app, _, _, token) = linked(stack).await;
    app.let_pass(Duration::from_hours(1));
    assert_eq!(redeem(&app, &token, NEW).await.wrong_fields(), ["token"]);
}

#[rstest]
#[tokio::test]
async fn a_link_dies_of_a_newer_one(#[values(Embedded, Scaled)] stack: Stack) {
    let (app, mut root, mut ada, token) = linked(stack).await;
    let newer = link_for(&mut root, &ada.user_id().await).await;
    assert_eq!(redeem(&app, &token, NEW).await.wrong_fields(), ["token"]);
    assert_eq!(redeem(&app, &newer, NEW).await.status, 204);
}

#[rstest]
#[tokio::test]
async fn a_link_dies_of_a_changed_credential(
    #[values(Embedded, Scaled)] stack: Stack,
    #[values("password", "e-mail")] changed: &str,
) {
    let (app, _, mut ada, token) = linked(stack).await;
    let answer = if changed == "password" {
        ada.change_password(PASSWORD, NEW).await
    } else {
        let body = json!({ "email": "lovelace@example.com", "password": PASSWORD });
        ada.update_account(&body).await
    };
    assert!([200, 204].contains(&answer.status), "{}", answer.text);
    let late = redeem(&app, &token, "yet another horse battery staple").await;
    assert_eq!(late.wrong_fields(), ["token"]);
    assert_eq!(ada.whoami().await.status, 200);
}

#[tokio::test]
async fn a_bad_password_does_not_use_the_link_up() {
    let (app, _, mut ada, token) = linked(Embedded).await;
    assert_eq!(
        redeem(&app, &token, "short").await.wrong_fields(),
        ["new_password"]
    );
    assert_eq!(ada.whoami().await.status, 200);
    assert_eq!(redeem(&app, &token, NEW).await.status, 204);
}

#[tokio::test]
async fn what_is_no_link_is_refused() {
    let (app, mut root, mut ada, token) = linked(Embedded).await;
    let session = ada.token.clone().unwrap();
    for wrong in [
        "",
        "x",
        &token[1..],
        &format!("{token}A"),
        &session,
        &"a".repeat(43),
    ] {
        assert_eq!(
            redeem(&app, wrong, NEW).await.wrong_fields(),
            ["token"],
            "{wrong}"
        );
    }
    let body = json!({ "token": token, "new_password": NEW, "email": "ada@example.com" });
    let answer = app.browser().post("/api/password/redeem", &body).await;
    assert_eq!(answer.wrong_fields(), ["email"]);
    let user = format!("/api/admin/users/{}", ada.user_id().await);
    assert_eq!(root.delete(&user).await.status, 204);
    assert_eq!(redeem(&app, &token, NEW).await.wrong_fields(), ["token"]);
}

#[tokio::test]
async fn links_name_the_configured_host_whatever_a_request_says() {
    let app = TestApp::spawn(Embedded).await;
    let mut root = app.admin().await;
    let path = format!("/api/admin/users/{}/password-link", root.user_id().await);
    for (name, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
    ] {
        let request = root
            .request(reqwest::Method::POST, &path)
            .header(name, value);
        let answer = root.send(request).await.json();
        let link = answer["password_link"].as_str().unwrap();
        assert!(
            link.starts_with("http://localhost:8080/password?token="),
            "{link}"
        );
    }
}

#[tokio::test]
async fn the_page_sets_the_password() {
    let (app, _, mut ada, token) = linked(Embedded).await;
    let mut browser = app.browser();
    let page = browser
        .get(&format!("/password?token={token}&utm_source=mail"))
        .await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(page.text.contains(&format!("value=\"{token}\"")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );

    let again = browser
        .submit("/password", &[("token", &token), ("new_password", "short")])
        .await;
    assert_eq!(again.status, 422);
    assert!(
        again.text.contains("must be at least 15 characters"),
        "{}",
        again.text
    );
    assert!(
        !again.text.contains("value=\"short\""),
        "a password is not shown"
    );
    let done = browser
        .submit("/password", &[("token", &token), ("new_password", NEW)])
        .await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.set_cookies(), Vec::<&str>::new());
    ada.whoami().await.assert_refused();
    assert_eq!(
        app.browser().log_in("ada@example.com", NEW).await.status,
        200
    );
    for dead in [&*token, "nonsense"] {
        let page = browser.get(&format!("/password?token={dead}")).await;
        assert_eq!(page.status, 404);
        let late = browser
            .submit("/password", &[("token", dead), ("new_password", NEW)])
            .await;
        assert_eq!(late.status, 404);
    }
}
