//! What a new password must not be (ASVS 6.2.4, 6.2.11, 6.2.12; NIST SP 800-63B-4, 3.1.1.2).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::Stack::Embedded;
use crate::support::app::{NO_ADMIN, PASSWORD};
use crate::support::{Answer, TestApp};

const COMMON: &str = "is among the most common passwords";
const OF_OWNER: &str = "must not be your name or e-mail address";
const OF_SERVICE: &str = "must not be the name of this service";

/// Of 15 characters, like the shortest that are taken.
const ADA: &str = "ada@example.com";
const LISTED: &str = "QWERTYUIOPasdfghjkl";

/// The one field that is wrong, and what is wrong with it.
#[track_caller]
fn assert_refused(answer: &Answer, field: &str, reason: &str) {
    assert_eq!(answer.wrong_fields(), [field], "{}", answer.text);
    let message = answer.json()["errors"][0]["message"].to_string();
    assert!(message.contains(reason), "{message}");
}

#[tokio::test]
async fn what_would_be_guessed_first_is_refused_with_the_reason() {
    let settings = [("GATELODGE_PASSWORD__MIN_LENGTH", "8")];
    let app = TestApp::spawn_with(Embedded, &settings).await;
    for (password, reason) in [
        ("password", COMMON),
        ("Password1", COMMON),
        ("iloveyou", COMMON),
        ("1qaz2wsx3edc4rfv", COMMON),
        ("dragondragondragon", COMMON),
        (LISTED, COMMON),
        (ADA, OF_OWNER),
        ("Ada Lovelace", OF_OWNER),
        ("lovelacelovelace", OF_OWNER),
        ("Gatelodge", OF_SERVICE),
        ("gatelodgegatelodge", OF_SERVICE),
        ("localhost", OF_SERVICE),
    ] {
        let body = json!({ "email": ADA, "name": "Ada Lovelace", "password": password });
        let answer = app.browser().post("/api/register", &body).await;
        assert_refused(&answer, "password", reason);
    }
}

#[tokio::test]
async fn what_is_long_is_taken_whatever_it_is_made_of_and_has_in_it() {
    let app = TestApp::spawn(Embedded).await;
    for (n, password) in [
        "my password is not the password",
        "gatelodge opens at nine",
        "neither capitals nor digits",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "ключ от квартиры",
    ]
    .iter()
    .enumerate()
    {
        let email = format!("user{n}@example.com");
        let answer = app.browser().register(&email, password).await;
        assert_eq!(answer.status, 201, "{password}: {}", answer.text);
    }
}

#[tokio::test]
async fn it_is_refused_wherever_a_password_is_set() {
    let app = TestApp::spawn(Embedded).await;
    let mut ada = app.registered(ADA).await;
    let mut root = app.admin().await;
    let link = format!("/api/admin/users/{}/password-link", ada.user_id().await);
    let link = root.post(&link, &json!({})).await.json()["password_link"].to_string();
    let (_, token) = link.trim_matches('"').split_once("token=").unwrap();

    for (bad, reason) in [(LISTED, COMMON), (ADA, OF_OWNER)] {
        let answer = app.browser().register(ADA, bad).await;
        assert_refused(&answer, "password", reason);
        let answer = ada.change_password(PASSWORD, bad).await;
        assert_refused(&answer, "new_password", reason);
        let body = json!({ "token": token, "new_password": bad });
        let answer = app.browser().post("/api/password/redeem", &body).await;
        assert_refused(&answer, "new_password", reason);

        let register = [("email", ADA), ("name", "Ada"), ("password", bad)];
        let change = [("current_password", PASSWORD), ("new_password", bad)];
        let redeem = [("token", token), ("new_password", bad)];
        for (page, answer) in [
            (
                "register",
                app.browser().submit("/register", &register).await,
            ),
            ("change", ada.submit("/account/password", &change).await),
            ("redeem", app.browser().submit("/password", &redeem).await),
        ] {
            assert_eq!(answer.status, 422, "{page}");
            assert!(answer.text.contains(reason), "{page}: {}", answer.text);
        }
    }
    assert_eq!(ada.whoami().await.status, 200);
}

#[tokio::test]
async fn it_is_refused_to_the_first_admin() {
    let app = TestApp::spawn_with(Embedded, &NO_ADMIN).await;
    let link = app.setup_link.clone().unwrap();
    let (_, token) = link.split_once("token=").unwrap();
    for (bad, reason) in [(LISTED, COMMON), (ADA, OF_OWNER)] {
        let fields = [
            ("token", token),
            ("email", ADA),
            ("name", "Ada"),
            ("password", bad),
        ];
        let answer = app.browser().submit("/setup", &fields).await;
        assert_eq!(answer.status, 422);
        assert!(answer.text.contains(reason), "{}", answer.text);
    }
}

/// Normalising costs more than it seems (CVE-2023-46695): what is too long is not looked at.
#[tokio::test]
async fn a_flood_of_combining_marks_is_refused_at_once() {
    let app = TestApp::spawn(Embedded).await;
    for (marks, status) in [(31_000, 422), (64_000, 413)] {
        let flood = format!("a{}", "\u{301}".repeat(marks));
        let mut least = Duration::MAX;
        for _ in 0..10 {
            let started = Instant::now();
            let answer = app.browser().log_in(ADA, &flood).await;
            least = least.min(started.elapsed());
            assert_eq!(answer.status, status);
        }
        assert!(least < Duration::from_millis(50), "{least:?}");
    }
}
