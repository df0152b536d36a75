//! After a log-in one is back where one was going, if it may be sent there.

use crate::site;
use crate::support::app::{ADMIN, PASSWORD, Stack};
use crate::support::chromium::Visitor;

/// Somebody logs in on the way to a place.
async fn on_the_way_to(origin: &str, target: &str) -> Visitor {
    let visitor = Visitor::to(origin).await;
    visitor.go(&format!("/login?return_to={target}")).await;
    visitor.fill("email", ADMIN).await;
    visitor.fill("password", PASSWORD).await;
    visitor.click("Log in").await;
    visitor
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_leads_back_to_allowed_origins_only() {
    let (_app, elsewhere) = site(Stack::Embedded, &[]).await;
    let (_another, evil) = site(Stack::Embedded, &[]).await;
    let allowed = ("GATELODGE_AUTHZ__ALLOWED_RETURN_ORIGINS", &*elsewhere);
    let (_gatelodge, origin) = site(Stack::Embedded, &[allowed]).await;
    let health = format!("{elsewhere}/health/alive");
    for (target, arrived) in [
        (&*health, &*health),
        ("/docs", "/docs"),
        (&format!("{evil}/health/alive"), "/account"),
    ] {
        let visitor = on_the_way_to(&origin, target).await;
        visitor.is_at(arrived).await;
        visitor.leave().await;
    }
}
