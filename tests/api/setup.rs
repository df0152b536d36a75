use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::{ADMIN, NO_ADMIN, PASSWORD};
use crate::support::{Answer, TestApp};

async fn without_admin(stack: Stack) -> (TestApp, String) {
    let app = TestApp::spawn_with(stack, &NO_ADMIN).await;
    let token = token_of(&app);
    (app, token)
}

fn token_of(app: &TestApp) -> String {
    let link = app.setup_link.as_deref().unwrap();
    link.strip_prefix("http://localhost:8080/setup?token=")
        .unwrap()
        .to_owned()
}

async fn set_up(app: &TestApp, token: &str, email: &str) -> Answer {
    let fields = [
        ("token", token),
        ("email", email),
        ("name", "Grace"),
        ("password", PASSWORD),
    ];
    app.browser().submit("/setup", &fields).await
}

#[rstest]
#[tokio::test]
async fn who_has_the_link_becomes_the_first_admin(#[values(Embedded, Scaled)] stack: Stack) {
    let (app, token) = without_admin(stack).await;
    let page = app.browser().get(&format!("/setup?token={token}")).await;
    assert_eq!(page.status, 200);
    assert!(
        page.text
            .contains("<form method=\"post\" action=\"/setup\">")
    );
    let done = set_up(&app, &token, "grace@example.com").await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.set_cookies(), Vec::<&str>::new(), "it logs nobody in");
    let mut grace = app.logged_in("grace@example.com").await;
    assert_eq!(grace.get("/api/admin/users").await.status, 200);

    let page = app.browser().get(&format!("/setup?token={token}")).await;
    assert_eq!(page.status, 404);
    assert_eq!(set_up(&app, &token, "eve@example.com").await.status, 404);
    let users = grace.get("/api/admin/users").await.json();
    assert_eq!(users["users"].as_array().unwrap().len(), 1);
}

#[rstest]
#[tokio::test]
async fn of_many_at_once_one_becomes_admin(#[values(Embedded, Scaled)] stack: Stack) {
    let (app, token) = without_admin(stack).await;
    let emails: Vec<_> = (0..10).map(|n| format!("user{n}@example.com")).collect();
    let answers = join_all(emails.iter().map(|email| set_up(&app, &token, email))).await;
    let won: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .collect();
    assert_eq!(won.len(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| [200, 404].contains(&answer.status))
    );
}

#[tokio::test]
async fn each_instance_has_a_link_until_one_is_used() {
    let (first, token) = without_admin(Scaled).await;
    let second = first.another_instance().await;
    let other = token_of(&second);
    assert_ne!(token, other);
    assert_eq!(
        set_up(&second, &token, "grace@example.com").await.status,
        200
    );
    assert_eq!(set_up(&first, &other, "eve@example.com").await.status, 404);
    assert_eq!(first.another_instance().await.setup_link, None);
}

#[tokio::test]
async fn the_link_dies_of_age_and_another_start_makes_a_new_one() {
    let (app, token) = without_admin(Scaled).await;
    app.let_pass(Duration::from_hours(1));
    assert_eq!(set_up(&app, &token, "grace@example.com").await.status, 404);
    let again = app.another_instance().await;
    assert_eq!(
        set_up(&again, &token_of(&again), "grace@example.com")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn mistakes_are_shown_and_use_nothing_up() {
    let (app, token) = without_admin(Embedded).await;
    let mut browser = app.browser();
    let fields = [
        ("token", &*token),
        ("email", "<script>"),
        ("name", "a\u{202e}b"),
        ("password", "short"),
    ];
    let page = browser.submit("/setup", &fields).await;
    assert_eq!(page.status, 422);
    assert!(!page.text.contains("<script>"), "{}", page.text);
    for mistake in ["e-mail address such as", "text-direction", "at least 15"] {
        assert!(page.text.contains(mistake), "{mistake}: {}", page.text);
    }
    app.registered("grace@example.com").await;
    let refused = set_up(&app, &token, "grace@example.com").await;
    assert_eq!(refused.status, 409);
    assert!(
        refused
            .text
            .contains("This is taken: there is an account with it."),
        "{}",
        refused.text
    );
    assert_eq!(set_up(&app, &token, "root@example.com").await.status, 200);
}

#[tokio::test]
async fn a_form_from_nowhere_is_refused() {
    let (app, token) = without_admin(Embedded).await;
    let fields = [
        ("token", &*token),
        ("email", "grace@example.com"),
        ("name", "Grace"),
        ("password", PASSWORD),
    ];
    let browser = app.browser();
    let form = || browser.request(Method::POST, "/setup").form(&fields);
    let origin = format!("http://localhost:{}", app.address.port());
    for (request, status) in [
        (form(), 403),
        (form().header("origin", "https://evil.example"), 403),
        (form().header("origin", "null"), 403),
        (form().header("sec-fetch-site", "same-site"), 403),
        (
            form()
                .header("sec-fetch-site", "cross-site")
                .header("origin", &origin),
            403,
        ),
        (
            browser
                .request(Method::POST, "/setup")
                .json(&json!({ "token": token })),
            415,
        ),
        (form().header("origin", &origin), 200),
    ] {
        assert_eq!(browser.clone().send(request).await.status, status);
    }
}

#[rstest]
#[tokio::test]
async fn an_admin_can_be_configured(#[values(Embedded, Scaled)] stack: Stack) {
    let app = TestApp::spawn(stack).await;
    assert_eq!(app.setup_link, None);
    assert_eq!(
        app.admin().await.whoami().await.json()["user"]["email"],
        ADMIN
    );
}

#[tokio::test]
async fn who_registered_the_configured_address_first_is_not_made_an_admin() {
    let (app, _) = without_admin(Scaled).await;
    let mut eve = app.registered(ADMIN).await;
    let mut environment = app.environment().clone();
    for (name, value) in [
        ("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", ADMIN),
        ("GATELODGE_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD),
    ] {
        environment.insert(name.to_owned(), value.to_owned());
    }
    let settings = gatelodge::config::Settings::load(None, environment).unwrap();
    let refused = gatelodge::Application::build(settings).await.err().unwrap();
    assert!(
        refused.to_string().contains("bootstrap_admin_email"),
        "{refused}"
    );
    assert_eq!(eve.get("/api/admin/users").await.status, 403);
}
