//! A JWT ends with its session, wherever that is ended.

use std::time::Instant;

use gatelodge::verifier::Refused;
use rstest::rstest;
use serde_json::json;

use super::scene::{PROMISED, assert_accepted, is_refused, mint, mint_as, spawn, verifier};
use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;

#[rstest]
#[tokio::test]
async fn what_a_session_mints_is_accepted_until_the_session_ends(
    #[values(Embedded, Scaled)] stack: Stack,
) {
    let app = spawn(stack).await;
    let verifier = verifier(app.address).await;
    let mut ada = app.registered("ada@example.com").await;
    let jwt = mint(&mut ada).await;
    let accepted = verifier.verify(&jwt).unwrap();
    assert!(accepted.is_current());
    assert_eq!(accepted.claims.sub.to_string(), ada.user_id().await);
    assert_eq!(accepted.claims.sid.to_string(), ada.session_id().await);
    assert_eq!(accepted.claims.roles, ["user"]);
    assert_eq!(ada.log_out().await.status, 204);
    is_refused(&verifier, &jwt, Refused::Ended).await;
}

/// P1, whoever ends it and however, on an instance that the verifier does not hear.
#[tokio::test]
async fn an_end_on_another_instance_is_heard_of_within_a_second() {
    let here = spawn(Scaled).await;
    let there = here.another_instance().await;
    let verifier = verifier(here.address).await;
    let mut admin = there.admin().await;

    for end in ["session", "user", "password", "lock", "delete", "everyone"] {
        let mut browser = here.registered(&format!("{end}@example.com")).await;
        let jwt = mint(&mut browser).await;
        let (user, session) = (browser.user_id().await, browser.session_id().await);
        assert_accepted(&verifier, &jwt);
        let answer = match end {
            "session" => {
                admin
                    .delete(&format!("/api/admin/sessions/{session}"))
                    .await
            }
            "user" => {
                admin
                    .delete(&format!("/api/admin/users/{user}/sessions"))
                    .await
            }
            "password" => {
                let mut elsewhere = there.logged_in("password@example.com").await;
                elsewhere
                    .change_password(PASSWORD, "another horse, another staple")
                    .await
            }
            "lock" => {
                let path = format!("/api/admin/users/{user}/lock");
                admin.post(&path, &json!({})).await
            }
            "delete" => admin.delete(&format!("/api/admin/users/{user}")).await,
            _ => {
                let everyone = json!({ "filter": { "everyone": true } });
                admin.post("/api/admin/sessions/revoke", &everyone).await
            }
        };
        assert!((200..300).contains(&answer.status), "{}", answer.text);
        let ended_at = Instant::now();
        is_refused(&verifier, &jwt, Refused::Ended).await;
        assert!(ended_at.elapsed() < PROMISED);
    }
}

#[tokio::test]
async fn a_spared_session_goes_on() {
    let app = spawn(Embedded).await;
    let verifier = verifier(app.address).await;
    let mut spared = app.registered("ada@example.com").await;
    let mut other = app.logged_in("ada@example.com").await;
    let (kept, ended) = (mint(&mut spared).await, mint(&mut other).await);
    assert_accepted(&verifier, &ended);
    assert_eq!(spared.revoke_others().await.status, 200);
    is_refused(&verifier, &ended, Refused::Ended).await;
    assert_accepted(&verifier, &kept);
}

/// What it says of the user is no longer so; the session goes on, and mints another.
#[tokio::test]
async fn a_jwt_of_a_user_who_has_changed_is_outdated() {
    let app = spawn(Embedded).await;
    let verifier = verifier(app.address).await;
    let mut ada = app.registered("ada@example.com").await;
    let before = mint(&mut ada).await;
    let path = format!("/api/admin/users/{}/role", ada.user_id().await);
    let mut admin = app.admin().await;
    let changed = admin.put(&path, &json!({ "role": "admin" })).await;
    assert!((200..300).contains(&changed.status), "{}", changed.text);
    is_refused(&verifier, &before, Refused::Outdated).await;
    let after = mint(&mut ada).await;
    let accepted = verifier.verify(&after).unwrap();
    assert_eq!(accepted.claims.roles, ["admin"]);
}

/// For connections that stay open.
#[tokio::test]
async fn who_waits_hears_of_the_end_of_a_session_or_of_its_jwt() {
    let app = spawn(Embedded).await;
    let verifier = verifier(app.address).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut bob = app.registered("bob@example.com").await;
    let ended = verifier.verify(&mint(&mut ada).await).unwrap();
    let expiring = verifier.verify(&mint_as(&mut bob, "brief").await).unwrap();

    let waiting = tokio::spawn({
        let verifier = verifier.clone();
        async move { verifier.until_refused(&ended).await }
    });
    assert_eq!(ada.log_out().await.status, 204);
    let refused = tokio::time::timeout(PROMISED, waiting).await;
    assert_eq!(refused.unwrap().unwrap(), Refused::Ended);

    let expired = gatelodge::domain::jwt::Refused::Expired;
    let refused = verifier.until_refused(&expiring).await;
    assert_eq!(refused, Refused::Invalid(expired));
}
