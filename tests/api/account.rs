use rstest::rstest;
use serde_json::json;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::TestApp;
use crate::support::app::PASSWORD;

#[rstest]
#[tokio::test]
async fn a_new_name_is_known_to_every_session_at_once(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut other = app.logged_in("ada@example.com").await;
    let answer = ada.update_account(&json!({ "name": "Ada Lovelace" })).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["user"]["name"], "Ada Lovelace");
    for browser in [&mut ada, &mut other] {
        assert_eq!(
            browser.whoami().await.json()["user"]["name"],
            "Ada Lovelace"
        );
    }
}

#[rstest]
#[tokio::test]
async fn a_new_address_ends_the_other_sessions(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut other = app.logged_in("ada@example.com").await;
    let body = json!({ "email": "Lovelace@example.com", "password": PASSWORD });
    let answer = ada.update_account(&body).await;
    assert_eq!(answer.json()["user"]["email"], "lovelace@example.com");
    other.whoami().await.assert_refused();
    assert_eq!(
        ada.whoami().await.json()["user"]["email"],
        "lovelace@example.com"
    );
    assert_eq!(
        app.browser()
            .log_in("lovelace@example.com", PASSWORD)
            .await
            .status,
        200
    );
    assert_eq!(
        app.browser()
            .log_in("ada@example.com", PASSWORD)
            .await
            .status,
        401
    );
}

#[rstest]
#[tokio::test]
async fn an_address_is_changed_with_the_password_to_one_that_is_free(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    app.registered("bob@example.com").await;
    let mut change = async |email: &str, password: &str| {
        ada.update_account(&json!({ "email": email, "password": password }))
            .await
    };
    change("new@example.com", "not the password at all")
        .await
        .assert_problem(403, "wrong_password");
    change("BOB@example.com", PASSWORD)
        .await
        .assert_problem(409, "email_taken");
    assert_eq!(change("bob", PASSWORD).await.wrong_fields(), ["email"]);
    assert_eq!(
        ada.whoami().await.json()["user"]["email"],
        "ada@example.com"
    );
}

#[tokio::test]
async fn an_account_takes_one_change_at_a_time() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    for (body, fields) in [
        (json!({}), vec!["email", "password"]),
        (json!({ "email": "new@example.com" }), vec!["password"]),
        (json!({ "name": "" }), vec!["name"]),
        (json!({ "name": "a\u{202e}b" }), vec!["name"]),
        (
            json!({ "name": "A", "password": PASSWORD }),
            vec!["password"],
        ),
        (
            json!({ "name": "A", "email": "new@example.com", "password": PASSWORD }),
            vec!["email"],
        ),
        (json!({ "role": "admin" }), vec!["role"]),
    ] {
        assert_eq!(
            ada.update_account(&body).await.wrong_fields(),
            fields,
            "{body}"
        );
    }
    let mut nobody = app.browser();
    for body in [json!({ "name": "A" }), json!({ "role": "admin" })] {
        nobody.update_account(&body).await.assert_refused();
    }
}

#[rstest]
#[tokio::test]
async fn a_deleted_account_is_gone_with_all_its_sessions(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut other = app.logged_in("ada@example.com").await;
    let mut thief = ada.clone();
    ada.delete_account("not the password at all")
        .await
        .assert_problem(403, "wrong_password");
    assert_eq!(ada.whoami().await.status, 200);

    let answer = ada.delete_account(PASSWORD).await;
    assert_eq!(answer.status, 204);
    assert_eq!(ada.token, None, "the cookie is removed");
    thief.whoami().await.assert_refused();
    other.whoami().await.assert_refused();
    let again = app.browser().log_in("ada@example.com", PASSWORD).await;
    again.assert_problem(401, "invalid_credentials");
    assert_eq!(
        app.browser()
            .register("ada@example.com", PASSWORD)
            .await
            .status,
        201
    );
    other.whoami().await.assert_refused();
}

/// Nothing is done of what may not have been meant.
#[tokio::test]
async fn a_field_is_left_out_or_has_a_value_and_null_is_none() {
    let app = TestApp::spawn(Embedded).await;
    let mut admin = app.admin().await;
    let body = json!({ "name": "Ada", "email": null });
    let answer = admin.update_account(&body).await;
    answer.assert_problem(422, "invalid_input");
    assert_eq!(answer.json()["errors"][0]["field"], "email");
    let user = json!({ "email": "ada@example.com", "name": "Ada", "role": null });
    let filter = json!({ "filter": { "ip": "203.0.113.9" }, "reason": null });
    let everyone = json!({ "filter": { "ip": "203.0.113.9", "everyone": null } });
    for (path, body) in [
        ("/api/admin/users", user),
        ("/api/admin/sessions/revoke", filter),
        ("/api/admin/sessions/revoke", everyone),
    ] {
        let answer = admin.post(path, &body).await;
        answer.assert_problem(422, "invalid_input");
    }
}
