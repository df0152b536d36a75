use std::collections::HashSet;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::{Browser, TestApp, eventually};

async fn events(admin: &mut Browser, query: &str) -> Vec<Value> {
    let answer = admin.get(&format!("/api/admin/events?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    answer.json()["events"].as_array().unwrap().clone()
}

fn actions(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["action"].as_str().unwrap())
        .collect()
}

#[rstest]
#[tokio::test]
async fn every_act_leaves_one_event(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let root_id = root.user_id().await;
    let body = json!({ "email": "ada@example.com", "name": "Ada" });
    let created = root.post("/api/admin/users", &body).await.json();
    let ada = created["user"]["id"].as_str().unwrap().to_owned();
    let (_, token) = created["password_link"]
        .as_str()
        .unwrap()
        .split_once('=')
        .unwrap();
    let redeem = json!({ "token": token, "new_password": PASSWORD });
    assert_eq!(
        app.browser()
            .post("/api/password/redeem", &redeem)
            .await
            .status,
        204
    );
    let mut browser = app.logged_in("ada@example.com").await;
    let session = browser.session_id().await;
    let user = format!("/api/admin/users/{ada}");
    root.put(&format!("{user}/role"), &json!({ "role": "admin" }))
        .await;
    root.put(&format!("{user}/role"), &json!({ "role": "admin" }))
        .await;
    root.delete(&format!("/api/admin/sessions/{session}")).await;
    app.logged_in("ada@example.com").await.log_out().await;
    root.post(&format!("{user}/password-link"), &json!({}))
        .await;
    root.post(&format!("{user}/lock"), &json!({})).await;
    root.post(&format!("{user}/unlock"), &json!({})).await;
    root.delete(&format!("{user}/sessions")).await;
    root.delete(&user).await;

    let of_ada = events(&mut root, &format!("subject={ada}")).await;
    assert_eq!(
        actions(&of_ada),
        [
            "user_deleted",
            "all_sessions_revoked",
            "user_unlocked",
            "user_locked",
            "password_link_issued",
            "logged_out",
            "logged_in",
            "session_revoked",
            "role_changed",
            "logged_in",
            "password_reset",
            "user_created",
        ]
    );
    for event in &of_ada {
        let by_ada = ["logged_out", "logged_in", "password_reset"];
        let is_adas = by_ada.contains(&event["action"].as_str().unwrap());
        assert_eq!(event["actor_id"], if is_adas { &*ada } else { &*root_id });
        assert_eq!(event["subject_id"], *ada);
        assert_eq!(event["ip"], "127.0.0.1");
        assert_eq!(event["by_operator"], false);
        assert_eq!(event["outcome"], "success");
    }
    let requests: HashSet<_> = of_ada.iter().map(|e| e["request_id"].as_str()).collect();
    assert_eq!(requests.len(), of_ada.len(), "each came by a request");
    assert!(!requests.contains(&None));
    let revoked = &of_ada[7];
    assert_eq!(revoked["session_id"], *session);
    assert_eq!(of_ada[8]["detail"], "admin");
    let by_root = events(&mut root, &format!("actor={root_id}&action=role_changed")).await;
    assert_eq!(by_root, [of_ada[8].clone()]);
}

#[rstest]
#[tokio::test]
async fn every_act_on_ones_own_account_leaves_one_event(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    let id = ada.user_id().await;
    let ended = app.logged_in("ada@example.com").await.session_id().await;
    ada.revoke_session(&ended).await;
    ada.revoke_others().await;
    ada.update_account(&json!({ "name": "Countess" })).await;
    let email = json!({ "email": "countess@example.com", "password": PASSWORD });
    ada.update_account(&email).await;
    let before = ada.session_id().await;
    ada.change_password(PASSWORD, "another password of hers")
        .await;
    let after = ada.session_id().await;
    ada.revoke_all().await;
    let mut ada = app.browser();
    ada.log_in("countess@example.com", "another password of hers")
        .await;
    ada.delete_account("another password of hers").await;

    let of_ada = events(&mut root, &format!("subject={id}")).await;
    assert_eq!(
        actions(&of_ada),
        [
            "account_deleted",
            "logged_in",
            "all_sessions_revoked",
            "password_changed",
            "email_changed",
            "name_changed",
            "other_sessions_revoked",
            "session_revoked",
            "logged_in",
            "registered",
        ]
    );
    for event in &of_ada {
        assert_eq!(event["actor_id"], *id, "{event}");
        assert_eq!(event["ip"], "127.0.0.1");
        assert_eq!(event["outcome"], "success");
        assert!(event["request_id"].is_string());
    }
    assert_eq!(of_ada[7]["session_id"], *ended);
    assert_eq!(of_ada[4]["session_id"], *before);
    assert_eq!(of_ada[3]["session_id"], *after);
}

#[rstest]
#[tokio::test]
async fn a_bulk_revocation_says_what_and_why(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    let id = ada.user_id().await;
    let body = json!({ "filter": { "user_id": id }, "reason": "stolen laptop" });
    assert_eq!(
        root.post("/api/admin/sessions/revoke", &body).await.status,
        200
    );
    let asked = events(&mut root, "action=matching_sessions_revoked").await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["reason"], "stolen laptop");
    assert_eq!(asked[0]["detail"], format!("user_id={id}"));
    assert_eq!(asked[0]["subject_id"], Value::Null);
    let ended = events(&mut root, &format!("action=session_revoked&subject={id}")).await;
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0]["reason"], "stolen laptop");

    let body = json!({ "filter": { "everyone": true }, "reason": "drill" });
    assert_eq!(
        root.post("/api/admin/sessions/revoke", &body).await.status,
        200
    );
    let mut root = app.admin().await;
    let everyone = events(&mut root, "action=everyone_revoked").await;
    assert_eq!(everyone[0]["reason"], "drill");
}

#[rstest]
#[tokio::test]
async fn events_come_in_pages(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    for n in 0..4 {
        app.registered(&format!("user{n}@example.com")).await;
    }
    let all = events(&mut root, "").await;
    assert_eq!(
        actions(&all),
        [
            "registered",
            "registered",
            "registered",
            "registered",
            "logged_in",
            "set_up"
        ]
    );
    assert_eq!(all[5]["by_operator"], true);
    assert_eq!(all[5]["request_id"], Value::Null);
    let operators = events(&mut root, "actor=operator").await;
    assert_eq!(actions(&operators), ["set_up"]);
    let first = root.get("/api/admin/events?limit=4").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = root
        .get(&format!("/api/admin/events?limit=4&cursor={cursor}"))
        .await
        .json();
    assert_eq!(second["next_cursor"], Value::Null);
    let both = [
        first["events"].as_array().unwrap().clone(),
        second["events"].as_array().unwrap().clone(),
    ];
    assert_eq!(both.concat(), all);
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_said() {
    let app = TestApp::spawn(Embedded).await;
    let mut root = app.admin().await;
    for (query, field) in [
        ("actor=root@example.com", "actor"),
        ("subject=x", "subject"),
        ("action=nonsense", "action"),
        ("cursor=AAAA", "cursor"),
        ("since=2026", "since"),
    ] {
        let answer = root.get(&format!("/api/admin/events?{query}")).await;
        assert_eq!(answer.wrong_fields(), [field], "{query}");
    }
}

/// To the client all are one; who reads the audit log is told.
#[rstest]
#[tokio::test]
async fn a_failed_log_in_leaves_one_event_that_says_why(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let ada = app.registered("ada@example.com").await.user_id().await;
    let bob = app.registered("bob@example.com").await.user_id().await;
    root.post(&format!("/api/admin/users/{bob}/lock"), &json!({}))
        .await;
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        ("ada@example.com", "not her password"),
        ("bob@example.com", "not his password"),
        ("bob@example.com", PASSWORD),
    ] {
        let refused = app.browser().log_in(email, password).await;
        refused.assert_problem(401, "invalid_credentials");
    }
    let failed = events(&mut root, "action=login_failed").await;
    let told: Vec<_> = failed
        .iter()
        .rev()
        .map(|event| {
            (
                event["subject_id"].as_str(),
                event["detail"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (None, "unknown_account"),
            (Some(&*ada), "wrong_password"),
            (Some(&*bob), "wrong_password"),
            (Some(&*bob), "locked"),
        ]
    );
    for event in &failed {
        assert_eq!(event["outcome"], "failure");
        assert_eq!(event["actor_id"], Value::Null);
        assert_eq!(event["ip"], "127.0.0.1");
        assert!(event["request_id"].is_string());
    }
}

#[rstest]
#[tokio::test]
async fn a_wrong_current_password_leaves_one_event(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    let (id, session) = (ada.user_id().await, ada.session_id().await);
    let wrong = "not her password";
    let email = json!({ "email": "countess@example.com", "password": wrong });
    ada.change_password(wrong, "another password of hers")
        .await
        .assert_problem(403, "wrong_password");
    ada.update_account(&email)
        .await
        .assert_problem(403, "wrong_password");
    ada.delete_account(wrong)
        .await
        .assert_problem(403, "wrong_password");
    let failed = events(&mut root, "action=password_check_failed").await;
    assert_eq!(failed.len(), 3);
    for event in &failed {
        assert_eq!(event["outcome"], "failure");
        assert_eq!(event["actor_id"], *id);
        assert_eq!(event["subject_id"], *id);
        assert_eq!(event["session_id"], *session);
        assert!(event["request_id"].is_string());
    }
}

#[rstest]
#[tokio::test]
async fn a_denial_leaves_one_event(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    let (id, session) = (ada.user_id().await, ada.session_id().await);
    ada.delete(&format!("/api/admin/users/{id}"))
        .await
        .assert_problem(403, "forbidden");
    assert_eq!(ada.page("/admin/users").await.status, 403);
    // Nobody can fill the log who is not logged in.
    app.browser().get("/api/admin/users").await.assert_refused();
    // No answer waits for its event.
    let mut denied = Vec::new();
    eventually("both are written down", async || {
        denied = events(&mut root, "action=access_denied").await;
        denied.len() == 2
    })
    .await;
    let mut told: Vec<_> = denied
        .iter()
        .map(|event| event["detail"].as_str().unwrap())
        .collect();
    told.sort_unstable();
    assert_eq!(told, ["DELETE /api/admin/users/{id}", "GET /admin/users"]);
    for event in &denied {
        assert_eq!(event["outcome"], "failure");
        assert_eq!(event["actor_id"], *id);
        assert_eq!(event["session_id"], *session);
        assert!(event["request_id"].is_string());
    }
}

/// Anybody can cause refusals: of each kind 600 a minute are written down.
#[tokio::test]
async fn a_flood_of_refusals_does_not_fill_the_audit_log() {
    let app = TestApp::spawn(Embedded).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    for _ in 0..1210 {
        ada.get("/api/admin/users")
            .await
            .assert_problem(403, "forbidden");
    }
    app.browser().log_in("nobody@example.com", PASSWORD).await;
    let mut written = 0;
    let mut page = "limit=200".to_owned();
    loop {
        let answer = root
            .get(&format!("/api/admin/events?action=access_denied&{page}"))
            .await
            .json();
        written += answer["events"].as_array().unwrap().len();
        match answer["next_cursor"].as_str() {
            Some(cursor) => page = format!("limit=200&cursor={cursor}"),
            None => break,
        }
    }
    // The minute may have changed meanwhile, once.
    assert!((600..=1200).contains(&written), "{written}");
    assert_eq!(events(&mut root, "action=login_failed").await.len(), 1);
}

/// ASVS 16.4.2.
#[tokio::test]
async fn no_call_changes_an_event() {
    let app = TestApp::spawn(Embedded).await;
    let mut root = app.admin().await;
    let before = events(&mut root, "").await;
    let path = format!("/api/admin/events/{}", before[0]["id"].as_str().unwrap());
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let all = root.request(method.clone(), "/api/admin/events");
        root.send(all)
            .await
            .assert_problem(405, "method_not_allowed");
        let one = root.request(method, &path);
        root.send(one).await.assert_problem(404, "not_found");
    }
    assert_eq!(events(&mut root, "").await, before);
}
