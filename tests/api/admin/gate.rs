use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::ADMIN;
use crate::support::{TestApp, within};

/// Whom an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Required {
    Nothing,
    Session,
    Admin,
    /// The credential of a service, which no session is.
    Service,
}

/// Every operation, as the service describes itself.
async fn operations(app: &TestApp) -> Vec<(Method, String, Required)> {
    let document = app.browser().get("/openapi.json").await.json();
    let id = uuid::Uuid::now_v7().to_string();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            let security = &operation["security"][0];
            let required = match &security["session"] {
                _ if security["service"].is_array() => Required::Service,
                Value::Array(roles) if roles.is_empty() => Required::Session,
                Value::Array(_) => Required::Admin,
                _ => Required::Nothing,
            };
            assert_eq!(
                path.starts_with("/api/admin"),
                required == Required::Admin,
                "{path}"
            );
            let path = path.replace("{id}", &id).replace("{ip}", "203.0.113.9");
            operations.push((method, path, required));
        }
    }
    assert!(operations.len() >= 30, "{operations:?}");
    operations
}

/// Anonymous, a user, an administrator, and one who was one (ASVS 8.2.1, 8.3.2).
#[tokio::test]
async fn every_operation_is_for_whom_the_document_says() {
    let app = TestApp::spawn(Embedded).await;
    let mut root = app.admin().await;
    app.registered("ada@example.com").await;
    let id = app.registered("old@example.com").await.user_id().await;
    let role = format!("/api/admin/users/{id}/role");
    for (method, path, required) in operations(&app).await {
        if path.starts_with("/api/authz/") {
            continue;
        }
        root.put(&role, &json!({ "role": "admin" })).await;
        let demoted = app.logged_in("old@example.com").await;
        root.put(&role, &json!({ "role": "user" })).await;
        for (who, lacks) in [
            (app.browser(), &[Required::Session, Required::Admin][..]),
            (app.logged_in("ada@example.com").await, &[Required::Admin]),
            (demoted, &[Required::Admin]),
            (app.admin().await, &[]),
        ] {
            let has_session = who.token.is_some();
            let request = who.request(method.clone(), &path).body("{not even json");
            let answer = who.clone().send(request).await;
            if required == Required::Service {
                answer.assert_problem(401, "unknown_service");
                continue;
            }
            match (lacks.contains(&required), has_session) {
                (true, false) => answer.assert_refused(),
                (true, true) => answer.assert_problem(403, "forbidden"),
                (false, _) => assert!(
                    ![401, 403, 405, 500].contains(&answer.status),
                    "{method} {path}: {}",
                    answer.text
                ),
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_role_holds_in_the_next_request(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    let (id, root_id) = (ada.user_id().await, root.user_id().await);

    let made = root
        .put(
            &format!("/api/admin/users/{id}/role"),
            &json!({ "role": "admin" }),
        )
        .await;
    assert_eq!(made.json()["user"]["role"], "admin");
    assert_eq!(ada.get("/api/admin/users").await.status, 200);

    let path = format!("/api/admin/users/{root_id}/role");
    assert_eq!(ada.put(&path, &json!({ "role": "user" })).await.status, 200);
    root.get("/api/admin/users")
        .await
        .assert_problem(403, "forbidden");
    assert_eq!(root.whoami().await.json()["user"]["role"], "user");
    assert_eq!(root.whoami().await.json()["user"]["email"], ADMIN);
}

#[tokio::test]
async fn a_role_a_lock_and_a_deletion_hold_on_the_other_instance_within_a_second() {
    let first = TestApp::spawn(Scaled).await;
    let second = first.another_instance().await;
    let mut root = first.admin().await;
    let ada = first.registered("ada@example.com").await;
    let mut bob = first.registered("bob@example.com").await.at(second.address);
    let mut ada = ada.at(second.address);
    let becomes = async |browser: &mut crate::support::Browser, status: u16| {
        within(Duration::from_secs(1), "it holds", async || {
            browser.get("/api/admin/users").await.status == status
        })
        .await;
    };
    becomes(&mut ada, 403).await;
    becomes(&mut bob, 403).await;
    let (ada_id, bob_id) = (ada.user_id().await, bob.user_id().await);
    let role = format!("/api/admin/users/{ada_id}/role");
    root.put(&role, &json!({ "role": "admin" })).await;
    becomes(&mut ada, 200).await;
    root.put(&role, &json!({ "role": "user" })).await;
    becomes(&mut ada, 403).await;
    root.post(&format!("/api/admin/users/{ada_id}/lock"), &json!({}))
        .await;
    becomes(&mut ada, 401).await;
    root.delete(&format!("/api/admin/users/{bob_id}")).await;
    becomes(&mut bob, 401).await;
}

#[tokio::test]
async fn a_call_without_a_body_takes_none() {
    let app = TestApp::spawn(Embedded).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    let user = format!("/api/admin/users/{}", ada.user_id().await);
    let lock = format!("{user}/lock");
    let form = root.request(Method::POST, &lock).form(&[("a", "b")]);
    root.send(form)
        .await
        .assert_problem(415, "unsupported_media_type");
    let text = root.request(Method::POST, &lock).body("{}");
    root.send(text)
        .await
        .assert_problem(415, "unsupported_media_type");
    let unknown = root.post(&lock, &json!({ "reason": "x" })).await;
    assert_eq!(unknown.wrong_fields(), ["reason"]);
    let deletion = root
        .request(Method::DELETE, &user)
        .json(&json!({ "force": true }));
    assert_eq!(root.send(deletion).await.wrong_fields(), ["force"]);
    assert_eq!(ada.whoami().await.status, 200);
    let empty = root.request(Method::POST, &lock);
    assert_eq!(root.send(empty).await.status, 200);
}
