//! The whole life of a user with two browsers, and of the admin who locks them.

use std::path::Path;

use crate::site;
use crate::support::app::{ADMIN, PASSWORD, Stack};
use crate::support::chromium::Visitor;

const EMAIL: &str = "ada@example.com";
const OTHER_PASSWORD: &str = "a longer horse battery staple";
const HAS_ENDED: &str = "Your session has ended";

async fn log_in(visitor: &Visitor, email: &str, password: &str) {
    visitor.fill("email", email).await;
    visitor.fill("password", password).await;
    visitor.click("Log in").await;
}

/// The page at desktop and phone width, in both colour schemes.
async fn keep_pictures(visitor: &Visitor, name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    for (device, width, height) in [("desktop", 1200, 800), ("phone", 390, 844)] {
        visitor.is_as_wide_as(width, height).await;
        for scheme in ["dark", "light"] {
            visitor.prefers(scheme).await;
            let needed = visitor
                .run("return document.documentElement.scrollWidth")
                .await;
            let needed = needed.as_u64().unwrap();
            assert!(
                needed <= width.into(),
                "{name} is wider than a {device}: {needed}"
            );
            let is_in_sight = "return [...document.querySelectorAll('td, button')]
                .every((it) => it.getBoundingClientRect().right <= innerWidth)";
            assert_eq!(visitor.run(is_in_sight).await, true, "{name} on a {device}");
            let file = folder.join(format!("{name}-{device}-{scheme}.png"));
            std::fs::write(file, visitor.screenshot().await).unwrap();
        }
    }
    visitor.is_as_wide_as(1200, 900).await;
}

async fn assert_has_ended(visitor: &Visitor, back: &str) {
    visitor.is_at(&format!("/login?return_to={back}")).await;
    visitor.shows(HAS_ENDED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_with_two_browsers() {
    let (_app, origin) = site(Stack::Scaled, &[]).await;
    let (laptop, phone, admin) = tokio::join!(
        Visitor::to(&origin),
        Visitor::to(&origin),
        Visitor::to(&origin)
    );

    // Who asks for a page without being logged in gets there by registering.
    laptop.go("/account/name").await;
    laptop.is_at("/login?return_to=%2Faccount%2Fname").await;
    assert!(!laptop.text().await.contains(HAS_ENDED), "there was none");
    keep_pictures(&laptop, "login").await;
    laptop.click("Register").await;
    laptop.fill("email", EMAIL).await;
    laptop.fill("name", "Ada").await;
    laptop.fill("password", PASSWORD).await;
    keep_pictures(&laptop, "register").await;
    laptop.click("Register").await;
    laptop.is_at("/account/name").await;
    assert_eq!(laptop.run("return document.cookie").await, "");
    laptop.fill("name", "Ada Lovelace").await;
    laptop.click("Change the name").await;
    laptop.is_at("/account?done=name_changed").await;
    laptop.shows("Ada Lovelace").await;

    laptop.is_in("Asia/Tokyo").await;
    laptop.go("/account").await;
    laptop.shows("GMT+9").await;

    // Both are in the list of each.
    phone.go("/account").await;
    log_in(&phone, EMAIL, "not the password at all").await;
    phone.is_at("/login").await;
    phone
        .shows("The e-mail address or the password is wrong.")
        .await;
    log_in(&phone, EMAIL, PASSWORD).await;
    phone.is_at("/account").await;
    laptop.go("/account").await;
    let places = laptop.text().await;
    assert_eq!(places.matches("Chrome on Linux").count(), 3, "{places}");
    assert_eq!(places.matches("this device").count(), 1, "{places}");
    keep_pictures(&laptop, "account").await;

    // One ends the other, which is refused at its next click, and comes back.
    laptop.click("End the session on").await;
    laptop.is_at("/account?done=session_ended").await;
    phone.click("Change your password").await;
    assert_has_ended(&phone, "%2Faccount%2Fpassword").await;
    keep_pictures(&phone, "ended").await;
    log_in(&phone, EMAIL, PASSWORD).await;
    phone.is_at("/account/password").await;

    // A new password ends the other.
    phone.fill("current_password", PASSWORD).await;
    phone.fill("new_password", OTHER_PASSWORD).await;
    phone.click("Change the password").await;
    phone.is_at("/account?done=password_changed").await;
    laptop.click("Account").await;
    assert_has_ended(&laptop, "%2Faccount").await;
    log_in(&laptop, EMAIL, OTHER_PASSWORD).await;
    laptop.click("End all the others").await;
    laptop.is_at("/account?done=others_ended").await;
    phone.go("/account").await;
    assert_has_ended(&phone, "%2Faccount").await;

    // The admin locks them.
    admin.go("/admin").await;
    log_in(&admin, ADMIN, PASSWORD).await;
    admin.is_at("/admin/users").await;
    keep_pictures(&admin, "users").await;
    admin.fill("search", "lovelace").await;
    admin.click("Search").await;
    admin.click("Ada Lovelace").await;
    keep_pictures(&admin, "user").await;
    admin.click("Sessions").await;
    keep_pictures(&admin, "sessions").await;
    admin.click("Events").await;
    keep_pictures(&admin, "events").await;
    admin.is_in("Asia/Tokyo").await;
    admin
        .go("/admin/sessions?issued_after=2026-01-01T00:00:00Z")
        .await;
    admin.shows("Logged in after (your time)").await;
    let shown = "return document.getElementById('issued_after').value";
    assert_eq!(admin.run(shown).await, "2026-01-01T09:00");
    admin.fill("ip", "127.0.0.1").await;
    admin.click("Show").await;
    let asked = "return new URLSearchParams(location.search).get('issued_after')";
    assert_eq!(admin.run(asked).await, "2026-01-01T00:00", "in UTC");
    admin.click("Users").await;
    admin.click("Ada Lovelace").await;
    admin.click("Lock").await;
    admin.shows("The account is locked").await;
    laptop.click("Account").await;
    assert_has_ended(&laptop, "%2Faccount").await;
    log_in(&laptop, EMAIL, OTHER_PASSWORD).await;
    laptop
        .shows("The e-mail address or the password is wrong.")
        .await;

    admin.click("Log out").await;
    admin.is_at("/login?done=logged_out").await;
    for visitor in [laptop, phone, admin] {
        visitor.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_without_scripts() {
    let (_app, origin) = site(Stack::Embedded, &[]).await;
    let visitor = Visitor::without_scripts(&origin).await;
    visitor.go("/admin/sessions").await;
    log_in(&visitor, ADMIN, PASSWORD).await;
    visitor.shows(" UTC").await;
    visitor.fill("ip", "127.0.0.0/8").await;
    visitor.click("Show").await;
    visitor.click("End all of these").await;
    visitor
        .shows("1 active session matches and will be ended")
        .await;
    visitor.fill("reason", "the end").await;
    visitor.click("End these sessions").await;
    visitor.shows("1 ended.").await;
    visitor.click("Go on").await;
    assert_has_ended(&visitor, "%2Fadmin%2Fsessions").await;
    visitor.leave().await;
}
