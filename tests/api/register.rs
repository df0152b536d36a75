use rstest::rstest;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::TestApp;
use crate::support::app::PASSWORD;

#[rstest]
#[tokio::test]
async fn a_new_user_is_logged_in(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.browser();
    let answer = ada.register(" Ada@Example.com", PASSWORD).await;

    assert_eq!(answer.status, 201);
    let body = answer.json();
    assert_eq!(body["user"]["email"], "ada@example.com");
    assert_eq!(body["user"]["role"], "user");
    assert_eq!(body["user"]["status"], "active");
    assert_eq!(body["session"]["user_id"], body["user"]["id"]);
    assert_eq!(body["session"]["current"], true);
    assert_eq!(ada.whoami().await.json(), body);
}

#[rstest]
#[tokio::test]
async fn an_address_is_one_account_however_it_is_spelled(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    app.registered("alice@example.com").await;
    for spelling in [
        "alice@example.com",
        "ALICE@Example.com ",
        "ＡＬＩＣＥ@example.com",
    ] {
        let answer = app.browser().register(spelling, PASSWORD).await;
        answer.assert_problem(409, "email_taken");
    }
    let answer = app
        .browser()
        .register("\u{430}lice@example.com", PASSWORD)
        .await;
    assert_eq!(answer.wrong_fields(), ["email"]);
}

#[rstest]
#[tokio::test]
async fn of_many_registrations_at_once_one_wins(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let attempts = (0..20).map(|_| {
        let mut browser = app.browser();
        tokio::spawn(async move { browser.register("ada@example.com", PASSWORD).await.status })
    });
    let mut statuses = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        statuses.push(attempt.await.unwrap());
    }
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 409).count(),
        19,
        "{statuses:?}"
    );
}

#[tokio::test]
async fn all_mistakes_are_told_at_once() {
    let app = TestApp::spawn(Embedded).await;
    let mut browser = app.browser();
    let answer = browser.register("nobody", "short").await;
    assert_eq!(answer.wrong_fields(), ["email", "password"]);
    assert!(
        !answer.text.contains("short\""),
        "a password never comes back"
    );

    for (body, fields) in [
        (json!({}), vec!["email", "name", "password"]),
        (
            json!({ "email": "", "name": " ", "password": "" }),
            vec!["email", "name", "password"],
        ),
        (
            json!({ "email": "a\u{0}b@example.com", "name": "a\u{0}b", "password": PASSWORD }),
            vec!["email", "name"],
        ),
        (
            json!({ "email": "a@example.com", "name": "n".repeat(101), "password": "p".repeat(1025) }),
            vec!["name", "password"],
        ),
        (
            json!({ "email": "a@example.com", "name": "A", "password": "🦊".repeat(14) }),
            vec!["password"],
        ),
    ] {
        let answer = browser
            .send(
                browser
                    .request(reqwest::Method::POST, "/api/register")
                    .json(&body),
            )
            .await;
        assert_eq!(answer.wrong_fields(), fields, "{body}");
    }
}

#[tokio::test]
async fn a_name_can_be_seen_and_hides_nothing() {
    let app = TestApp::spawn(Embedded).await;
    let mut browser = app.browser();
    for name in [
        "\u{200d}",
        "\u{2800}",
        "\u{2800} \u{2800}",
        "\u{e0041}\u{e0042}",
        "\u{fe0f}",
        "\u{e0100}",
        "\u{301}\u{200c}",
        "\u{1d159}",
        "Ada\u{e0041}",
        "Ada\u{1d173}",
    ] {
        let body = json!({ "email": "a@example.com", "name": name, "password": PASSWORD });
        let answer = browser.post("/api/register", &body).await;
        assert_eq!(answer.wrong_fields(), ["name"], "{}", name.escape_unicode());
    }
    for (n, name) in ["👩\u{200d}🚀", "\u{915}\u{94d}\u{200d}\u{937}", "❤\u{fe0f}"]
        .into_iter()
        .enumerate()
    {
        let email = format!("a{n}@example.com");
        let body = json!({ "email": email, "name": name, "password": PASSWORD });
        let answer = app.browser().post("/api/register", &body).await;
        assert_eq!(answer.json()["user"]["name"], name);
    }
}

#[tokio::test]
async fn a_name_that_was_accepted_under_other_rules_stays() {
    let app = TestApp::spawn(Scaled).await;
    app.registered("ada@example.com").await;
    let mut ledger = PgConnection::connect(app.database_url()).await.unwrap();
    sqlx::query("update users set name = $1")
        .bind("\u{2800}")
        .execute(&mut ledger)
        .await
        .unwrap();
    let mut ada = app.logged_in("ada@example.com").await;
    // From the ledger, and from the copy in Redis.
    for _ in 0..3 {
        assert_eq!(ada.whoami().await.json()["user"]["name"], "\u{2800}");
    }
    let users = app.admin().await.get("/api/admin/users").await;
    assert_eq!(users.status, 200);
}

#[tokio::test]
async fn nobody_registers_with_more_than_is_asked() {
    let app = TestApp::spawn(Embedded).await;
    for field in [
        "role",
        "is_admin",
        "id",
        "email_verified",
        "password_hash",
        "created_at",
    ] {
        let mut browser = app.browser();
        let body =
            json!({ "email": "a@example.com", "name": "A", "password": PASSWORD, field: "admin" });
        let answer = browser
            .send(
                browser
                    .request(reqwest::Method::POST, "/api/register")
                    .json(&body),
            )
            .await;
        assert_eq!(answer.wrong_fields(), [field]);
    }
}

#[tokio::test]
async fn registration_can_be_closed() {
    let app = TestApp::spawn_with(Embedded, &[("GATELODGE_REGISTRATION__ENABLED", "false")]).await;
    let answer = app.browser().register("ada@example.com", PASSWORD).await;
    answer.assert_problem(403, "registration_closed");
}

#[rstest]
#[tokio::test]
async fn registering_ends_the_session_the_browser_had(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut before = ada.clone();
    assert_eq!(ada.register("bob@example.com", PASSWORD).await.status, 201);
    assert_ne!(ada.token, before.token);
    before.whoami().await.assert_refused();
    assert_eq!(
        ada.whoami().await.json()["user"]["email"],
        "bob@example.com"
    );
}
