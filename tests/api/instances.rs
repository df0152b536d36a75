//! Two instances on one PostgreSQL and Redis.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::support::Stack::Scaled;
use crate::support::app::PASSWORD;
use crate::support::{Browser, TestApp, within};

const PROMISED: Duration = Duration::from_secs(1);
/// From when a store takes writes again.
const RECOVERY: Duration = Duration::from_secs(10);

async fn two() -> (TestApp, TestApp) {
    let first = TestApp::spawn(Scaled).await;
    let second = first.another_instance().await;
    (first, second)
}

/// The browser's session is known to the instance, which has a copy at hand.
async fn known_to(instance: &TestApp, browser: &Browser) -> Browser {
    let mut there = browser.at(instance.address);
    assert_eq!(there.whoami().await.status, 200);
    there
}

async fn is_refused_in_time(mut browser: Browser) {
    within(PROMISED, "the session is refused", async || {
        browser.whoami().await.status == 401
    })
    .await;
    browser.whoami().await.assert_refused();
}

#[tokio::test]
async fn a_session_made_on_one_works_on_the_other_in_the_next_request() {
    let (first, second) = two().await;
    for n in 0..100 {
        let browser = first.registered(&format!("user{n}@example.com")).await;
        assert_eq!(browser.at(second.address).whoami().await.status, 200, "{n}");
    }
}

#[tokio::test]
async fn logging_out_on_one_holds_on_the_other() {
    let (first, second) = two().await;
    let mut ada = first.registered("ada@example.com").await;
    let there = known_to(&second, &ada).await;
    assert_eq!(ada.log_out().await.status, 204);
    is_refused_in_time(there).await;
}

#[tokio::test]
async fn a_session_revoked_on_one_is_refused_on_the_other() {
    let (first, second) = two().await;
    let mut ada = first.registered("ada@example.com").await;
    let mut lost = first.logged_in("ada@example.com").await;
    let there = known_to(&second, &lost).await;
    let id = lost.session_id().await;
    assert_eq!(ada.revoke_session(&id).await.status, 204);
    is_refused_in_time(there).await;
    assert_eq!(ada.at(second.address).whoami().await.status, 200);
}

#[tokio::test]
async fn the_others_ended_on_one_are_refused_on_the_other() {
    let (first, second) = two().await;
    let mut ada = first.registered("ada@example.com").await;
    let other = first.logged_in("ada@example.com").await;
    let (ada_there, other_there) = (
        known_to(&second, &ada).await,
        known_to(&second, &other).await,
    );
    assert_eq!(ada.revoke_others().await.status, 200);
    is_refused_in_time(other_there).await;
    assert_eq!(ada_there.clone().whoami().await.status, 200);
    assert_eq!(ada.revoke_all().await.status, 200);
    is_refused_in_time(ada_there).await;
}

#[tokio::test]
async fn a_password_changed_on_one_ends_the_sessions_on_the_other() {
    let (first, second) = two().await;
    let mut ada = first.registered("ada@example.com").await;
    let old = known_to(&second, &ada).await;
    let other = known_to(&second, &first.logged_in("ada@example.com").await).await;
    assert_eq!(
        ada.change_password(PASSWORD, "an entirely new password")
            .await
            .status,
        204
    );
    assert_eq!(ada.at(second.address).whoami().await.status, 200);
    is_refused_in_time(old).await;
    is_refused_in_time(other).await;
}

#[tokio::test]
async fn an_account_deleted_on_one_is_gone_on_the_other() {
    let (first, second) = two().await;
    let mut ada = first.registered("ada@example.com").await;
    let other = known_to(&second, &first.logged_in("ada@example.com").await).await;
    assert_eq!(ada.delete_account(PASSWORD).await.status, 204);
    is_refused_in_time(other).await;
}

#[tokio::test]
async fn a_name_or_address_changed_on_one_is_known_to_the_other() {
    let (first, second) = two().await;
    let mut ada = first.registered("ada@example.com").await;
    let mut there = known_to(&second, &ada).await;
    assert_eq!(
        ada.update_account(&json!({ "name": "Ada Lovelace" }))
            .await
            .status,
        200
    );
    within(PROMISED, "the name is known", async || {
        there.whoami().await.json()["user"]["name"] == "Ada Lovelace"
    })
    .await;
    let body = json!({ "email": "lovelace@example.com", "password": PASSWORD });
    assert_eq!(ada.update_account(&body).await.status, 200);
    within(PROMISED, "the address is known", async || {
        there.whoami().await.json()["user"]["email"] == "lovelace@example.com"
    })
    .await;
}

#[tokio::test]
async fn revocations_of_two_instances_at_once_are_all_known_to_both() {
    let (first, second) = two().await;
    first.registered("ada@example.com").await;
    let mut tasks = Vec::new();
    for n in 0..40 {
        let (here, there) = if n % 2 == 0 {
            (&first, &second)
        } else {
            (&second, &first)
        };
        let mut browser = here.logged_in("ada@example.com").await;
        let elsewhere = known_to(there, &browser).await;
        tasks.push(async move {
            let mut kept = browser.clone();
            assert_eq!(browser.log_out().await.status, 204);
            kept.whoami().await.assert_refused();
            is_refused_in_time(elsewhere).await;
        });
    }
    futures_util::future::join_all(tasks).await;
}

#[tokio::test]
async fn redis_emptied_logs_nobody_out_and_brings_nobody_back() {
    let (first, second) = two().await;
    let mut ada = first.registered("ada@example.com").await;
    let mut gone = first.logged_in("ada@example.com").await;
    let mut thief = gone.clone();
    gone.log_out().await;
    first.empty_redis().await;
    assert_eq!(ada.at(second.address).whoami().await.status, 200);
    thief.whoami().await.assert_refused();
    // No answer waits for it.
    within(PROMISED, "the copy is back", async || {
        !first.redis_keys().await.is_empty()
    })
    .await;
    assert_eq!(ada.whoami().await.status, 200);
    thief.whoami().await.assert_refused();
    let copies = first.redis_keys().await.len();
    assert_eq!(copies, 1, "the living has one, and nobody else");
}

#[tokio::test]
async fn what_lies_in_redis_tells_nothing_and_opens_nothing() {
    let (first, _second) = two().await;
    let mut ada = first.registered("ada@example.com").await;
    let mut bob = first.registered("bob@example.com").await;
    let mut redis = crate::support::servers::redis_connection().await;
    let keys = first.redis_keys().await;
    let [one, two] = keys.as_slice() else {
        panic!("{} keys", keys.len())
    };
    let value = |key: &[u8]| {
        let key = key.to_vec();
        let mut redis = redis.clone();
        async move {
            redis::cmd("GET")
                .arg(key)
                .query_async::<Vec<u8>>(&mut redis)
                .await
                .unwrap()
        }
    };
    let (first_value, second_value) = (value(one).await, value(two).await);
    let token = ada.token.clone().unwrap();
    for bytes in [one, two, &first_value, &second_value] {
        for secret in [token.as_bytes(), b"example.com", b"ada@"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }

    // Swapped, cut or replaced by junk, a record is no record: the ledger decides.
    for (key, junk) in [
        (one, &second_value[..]),
        (two, &first_value[..20]),
        (two, b"junk"),
    ] {
        redis::cmd("SET")
            .arg(key)
            .arg(junk)
            .exec_async(&mut redis)
            .await
            .unwrap();
        // One that has no copies of its own.
        let instance = first.another_instance().await;
        for (browser, email) in [(&mut ada, "ada@example.com"), (&mut bob, "bob@example.com")] {
            let answer = browser.at(instance.address).whoami().await;
            assert_eq!(answer.json()["user"]["email"], email);
        }
    }
}

/// As after a restore, or a failover that lost commits: the log shows another
/// mark under a number that the instances know.
#[tokio::test]
async fn a_ledger_that_went_backwards_makes_every_copy_stale() {
    let (first, second) = two().await;
    let mut ada = first.registered("ada@example.com").await;
    let body = json!({ "name": "Ada Lovelace" });
    assert_eq!(ada.update_account(&body).await.status, 200);
    let mut there = known_to(&second, &ada).await;
    let mut ledger = PgConnection::connect(first.database_url()).await.unwrap();
    for statement in [
        "update users set name = 'Restored'",
        "update revocations set mark = gen_random_uuid() where number = 1",
    ] {
        sqlx::query(statement).execute(&mut ledger).await.unwrap();
    }
    for browser in [&mut ada, &mut there] {
        within(PROMISED, "the copy is not believed", async || {
            browser.whoami().await.json()["user"]["name"] != "Ada Lovelace"
        })
        .await;
        within(RECOVERY, "the ledger is asked", async || {
            let name = browser.whoami().await.json()["user"]["name"].clone();
            assert_ne!(name, "Ada Lovelace");
            name == "Restored"
        })
        .await;
    }
    assert_eq!(ada.log_out().await.status, 204);
    is_refused_in_time(there).await;
}
