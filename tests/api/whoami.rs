use crate::support::Stack::Embedded;
use crate::support::TestApp;
use crate::support::app::PASSWORD;

#[tokio::test]
async fn nobody_is_nobody() {
    let app = TestApp::spawn(Embedded).await;
    app.browser().whoami().await.assert_refused();
}

#[tokio::test]
async fn a_session_shows_where_it_comes_from() {
    let app = TestApp::spawn(Embedded).await;
    let mut browser = app.browser();
    let body =
        serde_json::json!({ "email": "ada@example.com", "name": "Ada", "password": PASSWORD });
    let request = browser
        .request(reqwest::Method::POST, "/api/register")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        )
        .header("x-forwarded-for", "203.0.113.9")
        .json(&body);
    browser.send(request).await;

    let session = browser.whoami().await.json()["session"].clone();
    assert_eq!(session["device"], "Firefox on Linux");
    assert_eq!(
        session["ip"], "127.0.0.1",
        "a stranger's word on addresses counts nothing"
    );
    let fields: Vec<_> = session.as_object().unwrap().keys().cloned().collect();
    let mut documented = [
        "id",
        "user_id",
        "issued_at",
        "authenticated_at",
        "last_seen_at",
        "expires_at",
        "idle_expires_at",
        "remember_me",
        "ip",
        "user_agent",
        "device",
        "current",
    ];
    documented.sort_unstable();
    assert_eq!(fields, documented);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_address_is_the_clients() {
    let proxies = [("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")];
    let app = TestApp::spawn_with(Embedded, &proxies).await;
    let mut browser = app.registered("ada@example.com").await;
    let body = serde_json::json!({ "email": "ada@example.com", "password": PASSWORD });
    let request = browser
        .request(reqwest::Method::POST, "/api/login")
        .header("x-forwarded-for", "198.51.100.7, 203.0.113.9, 10.2.3.4")
        .json(&body);
    let answer = browser.send(request).await;
    assert_eq!(answer.json()["session"]["ip"], "203.0.113.9");
}
