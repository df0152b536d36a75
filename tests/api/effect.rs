//! `?wait=effective`: the answer to a revocation when all instances refuse the
//! sessions.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::{Browser, TestApp, eventually};

const QUICK_POLL: (&str, &str) = ("GATELODGE_SESSION__POLL_INTERVAL", "100ms");

#[rstest]
#[tokio::test]
async fn every_call_that_ends_sessions_can_be_waited_for(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut root = app.admin().await;
    let user = ada.whoami().await.json()["user"]["id"].clone();
    let user = user.as_str().unwrap();
    let other = app.logged_in("ada@example.com").await.session_id().await;
    let third = app.logged_in("ada@example.com").await.session_id().await;

    let change =
        json!({ "current_password": PASSWORD, "new_password": "an entirely new password" });
    let email = json!({ "email": "lovelace@example.com", "password": "an entirely new password" });
    let filter = json!({ "filter": { "user_agent": "no such browser" } });
    let password = json!({ "password": "an entirely new password" });
    let by_ada = [
        (Method::DELETE, format!("/api/sessions/{other}"), None, 204),
        (Method::DELETE, "/api/sessions".to_owned(), None, 200),
        (Method::POST, "/api/password".to_owned(), Some(change), 204),
        (Method::PATCH, "/api/account".to_owned(), Some(email), 200),
    ];
    let by_root = [
        (
            Method::DELETE,
            format!("/api/admin/sessions/{third}"),
            None,
            204,
        ),
        (
            Method::PUT,
            format!("/api/admin/users/{user}/role"),
            Some(json!({ "role": "admin" })),
            200,
        ),
        (
            Method::POST,
            "/api/admin/sessions/revoke".to_owned(),
            Some(filter),
            200,
        ),
        (
            Method::DELETE,
            format!("/api/admin/users/{user}/sessions"),
            None,
            200,
        ),
        (
            Method::POST,
            format!("/api/admin/users/{user}/lock"),
            None,
            200,
        ),
        (
            Method::DELETE,
            format!("/api/admin/users/{user}"),
            None,
            204,
        ),
    ];
    let waited = |browser: &Browser, (method, path, body, _): &(Method, String, Option<_>, u16)| {
        let request = browser.request(method.clone(), &format!("{path}?wait=effective"));
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    };
    // That one first: the others end by what Ada does.
    let request = waited(&root, &by_root[0]);
    assert_eq!(root.send(request).await.status, by_root[0].3);
    for call in &by_ada {
        let request = waited(&ada, call);
        let answer = ada.send(request).await;
        assert_eq!(answer.status, call.3, "{}: {}", call.1, answer.text);
    }
    for call in &by_root[1..] {
        let request = waited(&root, call);
        let answer = root.send(request).await;
        assert_eq!(answer.status, call.3, "{}: {}", call.1, answer.text);
    }
    let mut bob = app.registered("bob@example.com").await;
    let request = bob.request(Method::POST, "/api/logout?wait=effective");
    assert_eq!(bob.send(request).await.status, 204);
    assert_eq!(bob.token, None, "the cookie is removed");
    let mut eve = app.registered("eve@example.com").await;
    let log_in = json!({ "email": "eve@example.com", "password": PASSWORD });
    let waited = eve.post("/api/login?wait=effective", &log_in).await;
    assert_eq!(waited.status, 200, "{}", waited.text);
    let refused = eve.post("/api/login?wait=junk", &log_in).await;
    assert_eq!(refused.wrong_fields(), ["wait"]);
    let request = eve.request(Method::DELETE, "/api/account?wait=effective");
    let refused = eve.send(request.json(&password)).await;
    refused.assert_problem(403, "wrong_password");
}

#[tokio::test]
async fn nothing_else_can_be_waited_for() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered("ada@example.com").await;
    for wait in ["wait=", "wait=Effective", "wait=effective&wait=effective"] {
        let answer = ada.delete(&format!("/api/sessions?{wait}")).await;
        assert_eq!(answer.wrong_fields(), ["wait"], "{wait}");
    }
    let mut nobody = app.browser();
    nobody
        .delete("/api/sessions?wait=junk")
        .await
        .assert_refused();
    let request = nobody.request(Method::POST, "/api/logout?wait=effective");
    assert_eq!(nobody.send(request).await.status, 204);
}

/// Somebody is registered who says nothing.
async fn with_a_silent_instance(app: &TestApp) -> (PgConnection, String) {
    let silent = uuid::Uuid::now_v7();
    let mut ledger = PgConnection::connect(app.database_url()).await.unwrap();
    sqlx::query("insert into instances (id) values ($1)")
        .bind(silent)
        .execute(&mut ledger)
        .await
        .unwrap();
    (ledger, silent.to_string())
}

#[tokio::test]
async fn who_has_not_said_so_is_pending_until_gone() {
    let app = TestApp::spawn_with(Scaled, &[QUICK_POLL]).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut bob = app.registered("bob@example.com").await;
    let mut root = app.admin().await;
    let (mut ledger, silent) = with_a_silent_instance(&app).await;

    let done = ada
        .delete("/api/sessions?include_current=true&wait=effective")
        .await;
    assert_eq!(done.status, 202, "{}", done.text);
    assert_eq!(done.json(), json!({ "revoked": 1, "pending": 1 }));
    ada.whoami().await.assert_refused();

    let id = bob.session_id().await;
    let done = root
        .delete(&format!("/api/admin/sessions/{id}?wait=effective"))
        .await;
    if done.status == 202 {
        let pending = json!({ "pending": 1, "instances": [silent] });
        assert_eq!(done.json(), pending);
    }
    bob.whoami().await.assert_refused();

    // Missed, struck off, and gone a lease after that.
    eventually("nobody waits for it any more", async || {
        let mut ada = app.logged_in("ada@example.com").await;
        let logout = ada.request(Method::POST, "/api/logout?wait=effective");
        ada.send(logout).await.status == 204
    })
    .await;
    let (is_struck_off,): (bool,) =
        sqlx::query_as("select struck_off_at is not null from instances where id::text = $1")
            .bind(&silent)
            .fetch_one(&mut ledger)
            .await
            .unwrap();
    assert!(is_struck_off);
}

#[tokio::test]
async fn logging_out_removes_the_cookie_also_while_somebody_is_pending() {
    let app = TestApp::spawn(Scaled).await;
    let mut ada = app.registered("ada@example.com").await;
    with_a_silent_instance(&app).await;
    let request = ada.request(Method::POST, "/api/logout?wait=effective");
    let done = ada.send(request).await;
    assert_eq!(done.status, 202);
    assert_eq!(done.json(), json!({ "pending": 1 }));
    assert_eq!(ada.token, None);
    assert_eq!(
        done.header("clear-site-data"),
        Some("\"cache\", \"storage\"")
    );
}

#[tokio::test]
async fn a_password_set_by_a_link_can_be_waited_for_by_whoever_has_it() {
    let app = TestApp::spawn(Scaled).await;
    let (mut ada, mut root) = (app.registered("ada@example.com").await, app.admin().await);
    let path = format!("/api/admin/users/{}/password-link", ada.user_id().await);
    let link = root.post(&path, &json!({})).await.json()["password_link"].to_string();
    let (_, token) = link.trim_matches('"').split_once("token=").unwrap();
    with_a_silent_instance(&app).await;
    let body = json!({ "token": token, "new_password": "another horse battery staple" });
    let path = "/api/password/redeem?wait=effective";
    let done = app.browser().post(path, &body).await;
    assert_eq!(done.status, 202, "{}", done.text);
    assert_eq!(done.json(), json!({ "pending": 1 }));
    ada.whoami().await.assert_refused();
}

/// Struck off by mistake, an instance enrols again, and goes on.
#[tokio::test]
async fn an_instance_that_was_struck_off_enrols_again() {
    let app = TestApp::spawn_with(Scaled, &[QUICK_POLL]).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut ledger = PgConnection::connect(app.database_url()).await.unwrap();
    for statement in [
        "update instances set struck_off_at = now()",
        "delete from instances",
    ] {
        sqlx::query(statement).execute(&mut ledger).await.unwrap();
        eventually("it is enrolled", async || {
            let enrolled: i64 =
                sqlx::query_scalar("select count(*) from instances where struck_off_at is null")
                    .fetch_one(&mut ledger)
                    .await
                    .unwrap();
            enrolled == 1
        })
        .await;
        assert_eq!(ada.whoami().await.status, 200);
    }
}
