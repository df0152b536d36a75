use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use super::sessions::three_sessions;
use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::{Answer, Browser, TestApp, within};

async fn revoke(admin: &mut Browser, body: &Value) -> Answer {
    admin.post("/api/admin/sessions/revoke", body).await
}

async fn alive(browsers: &mut [Browser]) -> Vec<bool> {
    let mut alive = Vec::new();
    for browser in browsers {
        alive.push(browser.whoami().await.status == 200);
    }
    alive
}

#[rstest]
#[tokio::test]
async fn exactly_those_that_match_end(#[values(Embedded, Scaled)] stack: Stack) {
    let (_app, mut root, mut browsers) = three_sessions(stack).await;
    let ada = browsers[0].user_id().await;
    let filter = json!({ "user_id": ada, "ip": "203.0.113.0/24" });

    let body = json!({ "filter": filter, "dry_run": true });
    let counted = revoke(&mut root, &body).await.json();
    assert_eq!(
        counted,
        json!({ "matched": 1, "revoked": 0, "effective_at": null })
    );
    assert_eq!(alive(&mut browsers).await, [true, true, true]);

    let body = json!({ "filter": filter, "reason": "stolen laptop" });
    let done = revoke(&mut root, &body).await.json();
    assert_eq!((&done["matched"], &done["revoked"]), (&json!(1), &json!(1)));
    assert!(done["effective_at"].is_string());
    assert_eq!(alive(&mut browsers).await, [false, true, true]);

    let done = revoke(&mut root, &json!({ "filter": { "user_agent": "IPHONE" } }))
        .await
        .json();
    assert_eq!(done["revoked"], 1);
    assert_eq!(alive(&mut browsers).await, [false, false, true]);
    let none = revoke(&mut root, &json!({ "filter": { "user_agent": "IPHONE" } }))
        .await
        .json();
    assert_eq!((&none["matched"], &none["revoked"]), (&json!(0), &json!(0)));
}

#[rstest]
#[tokio::test]
async fn everyone_is_everyone_there_is_now(#[values(Embedded, Scaled)] stack: Stack) {
    let (app, mut root, mut browsers) = three_sessions(stack).await;
    let body = json!({ "filter": { "everyone": true }, "dry_run": true });
    let counted = revoke(&mut root, &body).await.json();
    assert_eq!(
        counted,
        json!({ "matched": null, "revoked": null, "effective_at": null })
    );
    assert_eq!(alive(&mut browsers).await, [true, true, true]);

    let done = revoke(&mut root, &json!({ "filter": { "everyone": true } }))
        .await
        .json();
    assert_eq!(
        (&done["matched"], &done["revoked"]),
        (&json!(null), &json!(null))
    );
    assert!(done["effective_at"].is_string());
    assert_eq!(alive(&mut browsers).await, [false, false, false]);
    root.whoami().await.assert_refused();

    let mut again = app.admin().await;
    assert_eq!(again.whoami().await.status, 200);
    let left = again.get("/api/admin/sessions").await.json();
    assert_eq!(left["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(again.revoke_others().await.json(), json!({ "revoked": 0 }));
}

#[tokio::test]
async fn a_bulk_revocation_holds_on_every_instance() {
    let first = TestApp::spawn(Scaled).await;
    let second = first.another_instance().await;
    let mut root = first.admin().await;
    let ada = first.registered("ada@example.com").await;
    let bob = first.registered("bob@example.com").await;
    let mut there = [ada.at(second.address), bob.at(second.address)];
    assert_eq!(alive(&mut there).await, [true, true]);
    let id = there[0].user_id().await;
    assert_eq!(
        revoke(&mut root, &json!({ "filter": { "user_id": id } }))
            .await
            .status,
        200
    );
    within(Duration::from_secs(1), "it holds", async || {
        !alive(&mut there).await[0]
    })
    .await;
    assert_eq!(alive(&mut there).await, [false, true]);
    assert_eq!(
        revoke(&mut root, &json!({ "filter": { "everyone": true } }))
            .await
            .status,
        200
    );
    within(Duration::from_secs(1), "it holds", async || {
        !alive(&mut there).await[1]
    })
    .await;
}

#[tokio::test]
async fn nothing_that_is_wrong_ends_anybodys_session() {
    let (_app, mut root, mut browsers) = three_sessions(Embedded).await;
    for (body, field) in [
        (json!({}), "filter"),
        (json!({ "filter": null }), "filter"),
        (json!({ "filter": {} }), "filter"),
        (json!({ "filter": "everyone" }), "filter"),
        (json!({ "filter": [] }), "filter"),
        (json!({ "filter": { "ip": null } }), "filter.ip"),
        (
            json!({ "filter": { "user_id": null, "ip": "203.0.113.0/24" } }),
            "filter.user_id",
        ),
        (
            json!({ "filter": [null, null, null, null, null, null, true] }),
            "filter",
        ),
        (json!({ "filter": [null, "203.0.113.7"] }), "filter"),
        (json!({ "filter": { "user_id": "" } }), "filter.user_id"),
        (json!({ "filter": { "user_id": "*" } }), "filter.user_id"),
        (
            json!({ "filter": { "user_id": "root@example.com" } }),
            "filter.user_id",
        ),
        (json!({ "filter": { "ip": "10.1.2.3/8" } }), "filter.ip"),
        (json!({ "filter": { "ip": "" } }), "filter.ip"),
        (
            json!({ "filter": { "user_agent": "" } }),
            "filter.user_agent",
        ),
        (
            json!({ "filter": { "user_agent": "ab" } }),
            "filter.user_agent",
        ),
        (
            json!({ "filter": { "issued_before": "now" } }),
            "filter.issued_before",
        ),
        (
            json!({ "filter": { "issued_after": "2026-01-02T00:00:00Z", "issued_before": "2026-01-01T00:00:00Z" } }),
            "filter.issued_after",
        ),
        (json!({ "filter": { "email": "ada@example.com" } }), "email"),
        (
            json!({ "filter": { "everyone": false } }),
            "filter.everyone",
        ),
        (
            json!({ "filter": { "everyone": false, "ip": "203.0.113.7" } }),
            "filter.everyone",
        ),
        (
            json!({ "filter": { "everyone": true, "ip": "203.0.113.7" } }),
            "filter.everyone",
        ),
        (
            json!({ "filter": { "everyone": "true" } }),
            "filter.everyone",
        ),
        (
            json!({ "filter": { "ip": "203.0.113.7" }, "reason": "a\nb" }),
            "reason",
        ),
        (
            json!({ "filter": { "ip": "203.0.113.7" }, "reason": "" }),
            "reason",
        ),
        (
            json!({ "filter": { "ip": "203.0.113.7" }, "dry_run": "yes" }),
            "dry_run",
        ),
        (
            json!({ "filter": { "ip": "203.0.113.7" }, "dryrun": true }),
            "dryrun",
        ),
    ] {
        let answer = revoke(&mut root, &body).await;
        assert_eq!(answer.wrong_fields(), [field], "{body}");
    }
    let repeated = r#"{"filter":{"ip":"203.0.113.7","ip":"203.0.113.8"}}"#;
    let request = root.request(reqwest::Method::POST, "/api/admin/sessions/revoke");
    let request = request
        .header("content-type", "application/json")
        .body(repeated);
    assert_eq!(root.send(request).await.wrong_fields(), ["ip"]);
    assert_eq!(alive(&mut browsers).await, [true, true, true]);
    assert_eq!(root.whoami().await.status, 200);
}

/// Whatever else is done meanwhile, on both instances: what there was when it was
/// asked for is over when it was answered.
#[tokio::test]
async fn a_sweep_ends_all_that_there_was() {
    let first = TestApp::spawn(Scaled).await;
    let second = first.another_instance().await;
    let mut root = first.admin().await;
    let mut ada = first.registered("ada@example.com").await;
    let id = ada.user_id().await;
    for _ in 0..5 {
        let mut before = vec![first.logged_in("ada@example.com").await];
        for _ in 0..6 {
            let instance = if before.len() % 2 == 0 {
                &first
            } else {
                &second
            };
            before.push(
                instance
                    .logged_in("ada@example.com")
                    .await
                    .at(second.address),
            );
        }
        let (mut one, mut other) = (before[1].clone(), before[2].clone());
        let body = json!({ "filter": { "user_id": id } });
        let logging_in = async {
            for _ in 0..5 {
                second.logged_in("ada@example.com").await;
            }
        };
        let (swept, _, _, ()) = tokio::join!(
            revoke(&mut root, &body),
            one.revoke_others(),
            other.log_out(),
            logging_in
        );
        assert_eq!(swept.status, 200, "{}", swept.text);
        within(
            Duration::from_secs(1),
            "all there was is over",
            async || !alive(&mut before).await.contains(&true),
        )
        .await;
    }
    assert_eq!(root.whoami().await.status, 200);
}
