//! No page keeps anybody out: axe-core finds nothing, in either colour scheme.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::support::app::{ADMIN, NO_ADMIN, PASSWORD, Stack};
use crate::support::chromium::Visitor;
use crate::{npm, site};

const AXE: &str = "axe-core@4.14.1";

/// The script of axe-core, from npm.
fn axe() -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(AXE);
    let script = folder.join("node_modules/axe-core/axe.min.js");
    if !script.exists() {
        let fetched = Command::new(npm())
            .args([
                "install",
                "--no-save",
                "--ignore-scripts",
                "--no-audit",
                "--prefix",
            ])
            .arg(&folder)
            .arg(AXE)
            .status();
        assert!(fetched.unwrap().success(), "npm has no {AXE}");
    }
    std::fs::read_to_string(script).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_has_a_barrier() {
    let (app, origin) = site(Stack::Embedded, &[]).await;
    let axe = axe();
    let mut user = app.registered("ada@example.com").await;
    let user = user.whoami().await.json()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let visitor = Visitor::to(&origin).await;
    let check = async |page: &str| {
        for scheme in ["light", "dark"] {
            visitor.prefers(scheme).await;
            let found = visitor.barriers(&axe).await;
            assert_eq!(found, json!([]), "{page}, {scheme}");
        }
    };
    for page in [
        "/login",
        "/register",
        "/nowhere",
        "/problems/busy",
        "/password?token=none",
        "/docs",
    ] {
        visitor.go(page).await;
        check(page).await;
    }
    visitor.go("/login?return_to=/account").await;
    visitor.fill("email", ADMIN).await;
    visitor.fill("password", "not the password at all").await;
    visitor.click("Log in").await;
    check("/login, refused").await;
    visitor.fill("email", ADMIN).await;
    visitor.fill("password", PASSWORD).await;
    visitor.click("Log in").await;
    for page in [
        "/account",
        "/account/name",
        "/account/email",
        "/account/password",
        "/account/delete",
        "/admin/users",
        "/admin/users?search=a",
        "/admin/users/new",
        "/admin/sessions",
        "/admin/sessions?ip=nonsense",
        "/admin/sessions?user_id=nobody@example.com",
        "/admin/sessions/end?ip=127.0.0.1",
        "/admin/sessions/end?everyone=true",
        "/admin/events",
        &*format!("/admin/users/{user}"),
        &*format!("/admin/users/{user}/role"),
        &*format!("/admin/users/{user}/delete"),
    ] {
        visitor.go(page).await;
        visitor.is_at(page).await;
        check(page).await;
    }
    visitor.is_as_wide_as(390, 844).await;
    for page in ["/admin/users", "/admin/sessions", "/admin/events"] {
        visitor.go(page).await;
        check(&format!("{page} on a phone")).await;
    }
    visitor.go(&format!("/admin/users/{user}")).await;
    visitor.click("Link for a new password").await;
    check("a password link").await;
    let link = visitor
        .run("return document.querySelector('.secret').textContent")
        .await;
    let path = link
        .as_str()
        .unwrap()
        .strip_prefix(&*origin)
        .unwrap()
        .to_owned();
    visitor.go(&path).await;
    check("/password").await;
    visitor.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_has_the_first_one() {
    let (app, origin) = site(Stack::Embedded, &NO_ADMIN).await;
    let link = app.setup_link.as_deref().unwrap();
    let visitor = Visitor::to(&origin).await;
    visitor.go(link.strip_prefix(&*origin).unwrap()).await;
    for (field, text) in [("email", "root"), ("name", "Root"), ("password", "short")] {
        visitor.fill(field, text).await;
    }
    // Otherwise the browser itself would refuse the form.
    visitor.run("document.forms[0].noValidate = true").await;
    visitor.click("Become").await;
    visitor.shows("Something is not right yet").await;
    assert_eq!(visitor.barriers(&axe()).await, json!([]));
    visitor.leave().await;
}
