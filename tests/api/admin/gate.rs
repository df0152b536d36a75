use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::TestApp;
use crate::support::app::ADMIN;

/// Every operation under `/api/admin`, as the service describes itself.
async fn operations(app: &TestApp) -> Vec<(Method, String)> {
    let document = app.browser().get("/openapi.json").await.json();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if path.starts_with("/api/admin") {
                let method = method.to_uppercase().parse().unwrap();
                operations.push((
                    method,
                    path.replace("{id}", &uuid::Uuid::now_v7().to_string()),
                ));
            }
        }
    }
    assert_eq!(operations.len(), 15);
    operations
}

#[tokio::test]
async fn only_admins_pass() {
    let app = TestApp::spawn(Embedded).await;
    let mut nobody = app.browser();
    let mut user = app.registered("ada@example.com").await;
    let mut admin = app.admin().await;
    for (method, path) in operations(&app).await {
        let request = |browser: &crate::support::Browser| {
            browser
                .request(method.clone(), &path)
                .body("{not even json")
        };
        nobody.send(request(&nobody)).await.assert_refused();
        let refused = user.send(request(&user)).await;
        refused.assert_problem(403, "forbidden");
        let answer = admin.send(request(&admin)).await;
        assert!(
            ![401, 403, 405].contains(&answer.status),
            "{method} {path}: {}",
            answer.text
        );
    }
}

#[rstest]
#[tokio::test]
async fn a_role_holds_on_every_instance_at_once(#[values(Embedded, Scaled)] stack: Stack) {
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
