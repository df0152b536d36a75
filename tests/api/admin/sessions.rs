use std::time::Duration;

use reqwest::Method;
use rstest::rstest;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::{Browser, TestApp};

const BEHIND_A_PROXY: (&str, &str) = ("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1");

/// A user logged in from somewhere, with some browser.
pub(super) async fn logged_in_from(
    app: &TestApp,
    email: &str,
    address: &str,
    user_agent: &str,
) -> Browser {
    let mut browser = app.browser();
    let body = serde_json::json!({ "email": email, "password": PASSWORD });
    let request = browser.request(Method::POST, "/api/login").json(&body);
    let request = request
        .header("x-forwarded-for", address)
        .header("user-agent", user_agent);
    assert_eq!(browser.send(request).await.status, 200);
    browser
}

/// Ada on a laptop and a phone, Bob on a laptop; and the admin who looks.
pub(super) async fn three_sessions(stack: Stack) -> (TestApp, Browser, [Browser; 3]) {
    let app = TestApp::spawn_with(stack, &[BEHIND_A_PROXY]).await;
    let root = app.admin().await;
    for email in ["ada@example.com", "bob@example.com"] {
        app.registered(email).await.log_out().await;
    }
    let laptop = "Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0";
    let phone = "Mozilla/5.0 (iPhone) Safari/605.1";
    let browsers = [
        logged_in_from(&app, "ada@example.com", "203.0.113.7", laptop).await,
        logged_in_from(&app, "ada@example.com", "2001:db8:1::1", phone).await,
        logged_in_from(&app, "bob@example.com", "203.0.113.200", laptop).await,
    ];
    (app, root, browsers)
}

async fn found(admin: &mut Browser, query: &str) -> Vec<String> {
    let answer = admin.get(&format!("/api/admin/sessions?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    let sessions = answer.json()["sessions"].as_array().unwrap().clone();
    sessions
        .iter()
        .map(|session| session["id"].as_str().unwrap().to_owned())
        .collect()
}

#[rstest]
#[tokio::test]
async fn sessions_are_found_by_what_is_known_of_them(#[values(Embedded, Scaled)] stack: Stack) {
    let (_app, mut root, mut browsers) = three_sessions(stack).await;
    let [laptop, phone, bobs] = &mut browsers;
    let ada = laptop.user_id().await;
    let (roots, laptop, phone, bobs) = (
        root.session_id().await,
        laptop.session_id().await,
        phone.session_id().await,
        bobs.session_id().await,
    );
    let all = [&bobs, &phone, &laptop, &roots];
    for (query, expected) in [
        ("", &all[..]),
        (
            "user_id=&ip=&user_agent=&issued_before=&issued_after=&last_seen_before=",
            &all,
        ),
        (&format!("user_id={ada}"), &[&phone, &laptop]),
        (&format!("user_id={}", uuid::Uuid::now_v7()), &[]),
        ("ip=203.0.113.7", &[&laptop]),
        ("ip=::ffff:203.0.113.7", &[&laptop]),
        ("ip=203.0.113.0/24", &[&bobs, &laptop]),
        ("ip=203.0.113.0/25", &[&laptop]),
        ("ip=2001:db8::/32", &[&phone]),
        ("ip=0.0.0.0/0", &[&bobs, &laptop, &roots]),
        ("ip=::/0", &[&phone]),
        ("ip=198.51.100.0/24", &[]),
        ("user_agent=firefox", &[&bobs, &laptop]),
        ("user_agent=iPhone)", &[&phone]),
        ("user_agent=%25", &[]),
        (
            &format!("user_agent=Mozilla&user_id={ada}&ip=203.0.113.0/24"),
            &[&laptop],
        ),
    ] {
        if query == "user_agent=%25" {
            let answer = root.get(&format!("/api/admin/sessions?{query}")).await;
            assert_eq!(answer.wrong_fields(), ["user_agent"]);
        } else {
            assert_eq!(
                &found(&mut root, query).await.iter().collect::<Vec<_>>(),
                expected,
                "{query}"
            );
        }
    }
    let sessions = root.get("/api/admin/sessions").await.json()["sessions"].clone();
    assert_eq!(sessions[3]["current"], true);
    assert_eq!(sessions[0]["current"], false);
}

#[rstest]
#[tokio::test]
async fn sessions_are_found_by_their_times(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut early = app.registered("ada@example.com").await;
    let noted =
        |whoami: serde_json::Value| whoami["session"]["issued_at"].as_str().unwrap().to_owned();
    let early_at = noted(early.whoami().await.json());
    app.let_pass(Duration::from_mins(10));
    let mut late = app.registered("bob@example.com").await;
    let late_at = noted(late.whoami().await.json());
    let (early, late) = (early.session_id().await, late.session_id().await);

    assert_eq!(
        found(&mut root, &format!("issued_after={early_at}")).await,
        std::slice::from_ref(&late)
    );
    assert_eq!(
        found(&mut root, &format!("issued_before={early_at}"))
            .await
            .len(),
        1
    );
    let between = format!("issued_after={early_at}&issued_before={late_at}");
    assert_eq!(found(&mut root, &between).await, [""; 0]);
    let idle = found(&mut root, &format!("last_seen_before={late_at}")).await;
    assert!(idle.contains(&early) && !idle.contains(&late), "{idle:?}");
}

#[rstest]
#[tokio::test]
async fn only_what_may_be_in_use_is_listed(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    app.registered("ada@example.com").await;
    app.registered("bob@example.com").await.log_out().await;
    app.let_pass(Duration::from_hours(3));
    let mut root = app.admin().await;
    assert_eq!(found(&mut root, "").await, [root.session_id().await]);
}

#[rstest]
#[tokio::test]
async fn pages_go_through_all_of_a_filter(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    let id = ada.user_id().await;
    let mut expected = vec![ada.session_id().await];
    for _ in 0..4 {
        app.registered(&format!("user{}@example.com", expected.len()))
            .await;
        expected.push(app.logged_in("ada@example.com").await.session_id().await);
    }
    expected.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/admin/sessions?user_id={id}&limit=2&cursor={cursor}");
        let page = root.get(&path).await.json();
        let sessions = page["sessions"].as_array().unwrap().clone();
        seen.extend(
            sessions
                .iter()
                .map(|s| s["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn what_is_wrong_with_a_filter_is_said() {
    let app = TestApp::spawn(Embedded).await;
    let mut root = app.admin().await;
    for (query, field) in [
        ("user_id=ada@example.com", "user_id"),
        ("ip=localhost", "ip"),
        ("ip=10.1.2.3/8", "ip"),
        ("ip=10.*", "ip"),
        ("user_agent=ab", "user_agent"),
        ("issued_before=yesterday", "issued_before"),
        ("issued_after=1790000000", "issued_after"),
        ("last_seen_before=2026-09-21", "last_seen_before"),
        ("issued_after=0000-01-01T00:00:00%2B00:01", "issued_after"),
        (
            "last_seen_before=9999-12-31T23:59:59-00:01",
            "last_seen_before",
        ),
        (
            "issued_after=2026-09-22T00:00:00Z&issued_before=2026-09-21T00:00:00Z",
            "issued_after",
        ),
        (
            "issued_after=2026-09-22T00:00:00Z&last_seen_before=2026-09-21T00:00:00Z",
            "issued_after",
        ),
        ("everyone=true", "everyone"),
    ] {
        let answer = root.get(&format!("/api/admin/sessions?{query}")).await;
        assert_eq!(answer.wrong_fields(), [field], "{query}");
    }
}

#[rstest]
#[tokio::test]
async fn one_session_is_shown_and_ended(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    let mut root = app.admin().await;
    let mut ada = app.registered("ada@example.com").await;
    let mut elsewhere = app.logged_in("ada@example.com").await;
    let session = format!("/api/admin/sessions/{}", ada.session_id().await);
    let shown = root.get(&session).await.json();
    assert_eq!(shown["session"]["user_id"], ada.user_id().await);
    assert_eq!(root.delete(&session).await.status, 204);
    ada.whoami().await.assert_refused();
    assert_eq!(elsewhere.whoami().await.status, 200);
    root.get(&session).await.assert_problem(404, "not_found");
    root.delete(&session).await.assert_problem(404, "not_found");
    for id in [
        elsewhere.user_id().await,
        elsewhere.token.clone().unwrap(),
        "revoke".to_owned(),
    ] {
        let answer = root.delete(&format!("/api/admin/sessions/{id}")).await;
        assert!([404, 405].contains(&answer.status), "{id}");
    }
    assert_eq!(elsewhere.whoami().await.status, 200);
}
