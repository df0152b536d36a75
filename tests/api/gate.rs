//! The library: another actix app protected by the gate and the extractors.

use std::time::Duration;

use actix_web::web::{get, route, scope};
use actix_web::{App, HttpServer};
use gatelodge::config::Settings;
use gatelodge::domain::email::Email;
use gatelodge::{AdminSession, CurrentSession, Gate, Role};
use reqwest::Method;
use sqlx::{Connection as _, PgConnection};

use crate::support::Stack::{Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::{Browser, TestApp, within};

#[path = "../../examples/protected_app.rs"]
#[expect(dead_code, reason = "its main is not run")]
mod protected_app;

/// An app of its own, on the same stores as an instance of the service.
async fn app_beside(instance: &TestApp) -> std::net::SocketAddr {
    let settings = Settings::load(None, instance.environment().clone()).unwrap();
    let services = gatelodge::connect(&settings).await.unwrap();
    let server = HttpServer::new(move || {
        App::new()
            .configure(|app| services.attach(app))
            .service(
                scope("/notes")
                    .wrap(Gate::session())
                    .route(
                        "",
                        get().to(async |session: CurrentSession| session.user().name.to_string()),
                    )
                    .route("/open", route().to(async || "notes")),
            )
            .service(
                scope("/admin")
                    .wrap(Gate::admin())
                    .route("", get().to(async || "admin")),
            )
            .route(
                "/extracted",
                route().to(async |session: CurrentSession| session.user().id.to_string()),
            )
            .route(
                "/extracted-admin",
                get().to(async |session: AdminSession| session.user().id.to_string()),
            )
    })
    .workers(1)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    address
}

async fn status(browser: &mut Browser, path: &str) -> u16 {
    let request = browser.request(Method::GET, path);
    browser.send(request).await.status
}

#[tokio::test]
async fn a_gate_lets_through_who_is_logged_in_and_no_one_else() {
    let instance = TestApp::spawn(Scaled).await;
    let address = app_beside(&instance).await;
    let mut ada = instance.registered("ada@example.com").await;
    let mut nobody = instance.browser().at(address);
    for path in [
        "/notes",
        "/notes/open",
        "/admin",
        "/extracted",
        "/extracted-admin",
    ] {
        let request = nobody.request(Method::GET, path);
        nobody.send(request).await.assert_refused();
    }

    let mut there = ada.at(address);
    let request = there.request(Method::GET, "/notes");
    assert_eq!(there.send(request).await.text, "ada");
    assert_eq!(status(&mut there, "/notes/open").await, 200);
    assert_eq!(status(&mut there, "/extracted").await, 200);
    for path in ["/admin", "/extracted-admin"] {
        let request = there.request(Method::GET, path);
        there.send(request).await.assert_problem(403, "forbidden");
    }

    ada.log_out().await;
    crate::support::eventually("the gate hears of it", async || {
        status(&mut there, "/notes").await == 401
    })
    .await;
}

#[tokio::test]
async fn a_gate_for_admins_lets_admins_through() {
    let instance = TestApp::spawn(Scaled).await;
    let address = app_beside(&instance).await;
    instance.registered("ada@example.com").await;
    let mut ledger = PgConnection::connect(instance.database_url())
        .await
        .unwrap();
    sqlx::query("update users set role = 'admin'")
        .execute(&mut ledger)
        .await
        .unwrap();
    let mut ada = instance.logged_in("ada@example.com").await.at(address);
    assert_eq!(status(&mut ada, "/admin").await, 200);
    assert_eq!(status(&mut ada, "/extracted-admin").await, 200);
}

#[tokio::test]
async fn a_gate_that_was_given_no_services_lets_no_one_through() {
    let instance = TestApp::spawn(Embedded).await;
    let server = HttpServer::new(|| {
        App::new().service(
            scope("/notes")
                .wrap(Gate::session())
                .route("", get().to(async || "notes")),
        )
    })
    .workers(1)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    let mut ada = instance.registered("ada@example.com").await.at(address);
    let request = ada.request(Method::GET, "/notes");
    ada.send(request).await.assert_problem(500, "internal");
}

/// What a browser says of itself, and whether a page of such an origin may change something.
#[tokio::test]
async fn a_gate_lets_no_other_site_change_anything() {
    let friend = "https://app.example.com";
    let friends = ("GATELODGE_CORS__ALLOWED_ORIGINS", friend);
    let instance = TestApp::spawn_with(Scaled, &[friends]).await;
    let address = app_beside(&instance).await;
    let ada = instance.registered("ada@example.com").await.at(address);
    let settings = Settings::load(None, instance.environment().clone()).unwrap();
    let own = settings.server.public_url.origin();
    for path in ["/notes/open", "/extracted"] {
        for (headers, may_change) in [
            (vec![], true),
            (vec![("origin", &*own)], true),
            (
                vec![("origin", &*own), ("sec-fetch-site", "same-origin")],
                true,
            ),
            (
                vec![("origin", friend), ("sec-fetch-site", "same-site")],
                true,
            ),
            (vec![("origin", friend), ("origin", friend)], false),
            (vec![("origin", "https://evil.example")], false),
            (vec![("origin", "null")], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
        ] {
            let mut browser = ada.clone();
            for (method, may) in [(Method::GET, true), (Method::POST, may_change)] {
                let request = browser.request(method, path);
                let with = |request: reqwest::RequestBuilder, (name, value): &(&str, &str)| {
                    request.header(*name, *value)
                };
                let request = headers.iter().fold(request, with);
                let answer = browser.send(request).await;
                if may {
                    assert_eq!(answer.status, 200, "{headers:?}: {}", answer.text);
                } else {
                    answer.assert_problem(403, "csrf_failed");
                }
            }
        }
    }
    let stranger = instance.browser().at(address);
    let request = stranger.request(Method::POST, "/notes/open");
    let request = request.header("sec-fetch-site", "cross-site");
    let answer = stranger.clone().send(request).await;
    answer.assert_problem(403, "csrf_failed");
}

#[tokio::test]
async fn an_app_of_its_own_begins_with_the_admin_who_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}/gatelodge.db", folder.path().display());
    let environment = [
        ("DATABASE_URL", &*database),
        ("GATELODGE_PASSWORD__BCRYPT_COST", "4"),
        ("GATELODGE_BOOTSTRAP_ADMIN_EMAIL", "root@example.com"),
        ("GATELODGE_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::load(None, environment).unwrap();
    let services = gatelodge::connect(&settings).await.unwrap();
    let email = Email::parse("root@example.com").unwrap();
    let root = services.accounts().user_by_email(&email).await;
    assert_eq!(root.unwrap().role, Role::Admin);
    services.stop().await;
}

/// `examples/protected_app.rs`, alone.
#[tokio::test]
async fn the_example_protects_its_notes_and_ends_sessions() {
    let stack = TestApp::spawn(Scaled).await;
    let settings = Settings::load(None, stack.environment().clone()).unwrap();
    let services = gatelodge::connect(&settings).await.unwrap();
    let (address, server) = protected_app::serve(services, "127.0.0.1:0".parse().unwrap()).unwrap();
    tokio::spawn(server);
    let mut ada = stack.registered("ada@example.com").await.at(address);
    let mut elsewhere = stack.logged_in("ada@example.com").await.at(address);
    let notes = ada.request(Method::GET, "/notes");
    assert_eq!(ada.send(notes).await.text, "The notes of ada.\n");
    let statistics = ada.request(Method::GET, "/statistics");
    ada.send(statistics).await.assert_problem(403, "forbidden");
    assert_eq!(status(&mut ada, "/account").await, 200);

    let leave = ada.request(Method::POST, "/notes/leave");
    assert_eq!(ada.send(leave).await.status, 204);
    // The other instance's.
    let mut there = elsewhere.at(stack.address);
    for mut browser in [ada, elsewhere.clone(), there.clone()] {
        browser.whoami().await.assert_refused();
    }
    assert_eq!(status(&mut elsewhere, "/notes").await, 401);
    assert_eq!(status(&mut there, "/api/sessions").await, 401);
}

/// `gatelodge::Store`, as actix-session's middleware asks it.
#[tokio::test]
async fn the_store_knows_sessions_ends_them_and_inserts_none() {
    use actix_session::storage::{SessionKey, SessionStore as _};
    let instance = TestApp::spawn(Scaled).await;
    let mut ada = instance.registered("ada@example.com").await;
    let id = ada.whoami().await.json()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let settings = Settings::load(None, instance.environment().clone()).unwrap();
    let services = gatelodge::connect(&settings).await.unwrap();
    let store = services.store();

    let key = || SessionKey::try_from(ada.token.clone().unwrap()).unwrap();
    let state = store.load(&key()).await.unwrap().unwrap();
    assert_eq!(state["user_id"], format!("\"{id}\""));
    let ttl = actix_web::cookie::time::Duration::hours(1);
    assert!(
        store.save(state.clone(), &ttl).await.is_err(),
        "storing state issues no session"
    );
    assert!(store.update(key(), state, &ttl).await.is_err());
    store.delete(&key()).await.unwrap();
    store.delete(&key()).await.unwrap();
    assert!(store.load(&key()).await.unwrap().is_none());
    assert!(
        store
            .update(key(), std::collections::HashMap::default(), &ttl)
            .await
            .is_err(),
        "an update revives nothing"
    );
    let forged = SessionKey::try_from("forged".to_owned()).unwrap();
    assert!(store.load(&forged).await.unwrap().is_none());
    // Of the other instance.
    let refused = async || ada.clone().whoami().await.status == 401;
    within(Duration::from_secs(1), "the session is refused", refused).await;
}
