//! Pages of other origins, as a real browser lets them.

use actix_web::web::to;
use actix_web::{App, HttpResponse, HttpServer};
use serde_json::{Value, json};

use crate::site;
use crate::support::app::{PASSWORD, Stack};
use crate::support::chromium::Visitor;
use crate::support::servers::free_port;

const EMAIL: &str = "ada@example.com";

/// An app of its own, of the same site as the service.
fn app() -> String {
    let port = free_port();
    let server = HttpServer::new(|| {
        let page = || async {
            HttpResponse::Ok()
                .content_type("text/html")
                .body("<main>an app")
        };
        App::new().default_service(to(page))
    });
    let server = server.workers(1).disable_signals();
    tokio::spawn(server.bind(("127.0.0.1", port)).unwrap().run());
    format!("http://localhost:{port}")
}

/// What a page's script gets.
async fn fetched(visitor: &Visitor, address: &str, method: &str, body: Option<Value>) -> Value {
    let options = json!({
        "method": method,
        "credentials": "include",
        "headers": body.as_ref().map(|_| json!({ "Content-Type": "application/json" })),
        "body": body.map(|body| body.to_string()),
    });
    let promise = format!(
        "fetch({}, Object.fromEntries(Object.entries({options}).filter(([, it]) => it)))
            .then(async (answer) => [answer.status, await answer.text()])",
        json!(address)
    );
    visitor.promised(&promise).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_an_allowed_origin_logs_in_and_one_of_another_is_told_nothing() {
    let (allowed, foreign) = (app(), app());
    let settings = [("GATELODGE_CORS__ALLOWED_ORIGINS", allowed.as_str())];
    let (service, auth) = site(Stack::Embedded, &settings).await;
    service.registered(EMAIL).await;
    let login = format!("{auth}/api/login");
    let whoami = format!("{auth}/api/sessions/whoami");
    let logout = format!("{auth}/api/logout");
    let credentials = || Some(json!({ "email": EMAIL, "password": PASSWORD }));

    let visitor = Visitor::to(&allowed).await;
    visitor.go("/").await;
    let nobody = fetched(&visitor, &whoami, "GET", None).await;
    assert_eq!(nobody[0], 401, "it can tell: {nobody}");
    let logged_in = fetched(&visitor, &login, "POST", credentials()).await;
    assert_eq!(logged_in[0], 200, "{logged_in}");
    let known = fetched(&visitor, &whoami, "GET", None).await;
    assert_eq!(known[0], 200, "{known}");
    assert!(known[1].as_str().unwrap().contains(EMAIL), "{known}");

    // The same browser, with the cookie, on a page of nobody we know.
    let elsewhere = format!("{foreign}/");
    visitor
        .run(&format!("location = {}", json!(elsewhere)))
        .await;
    visitor.is_at(&elsewhere).await;
    for (address, method, body) in [
        (&whoami, "GET", None),
        (&login, "POST", credentials()),
        (&logout, "POST", None),
    ] {
        let refused = fetched(&visitor, address, method, body).await;
        assert_eq!(refused, "TypeError: Failed to fetch", "{address}");
    }

    visitor.go("/").await;
    let known = fetched(&visitor, &whoami, "GET", None).await;
    assert_eq!(known[0], 200, "nothing was done: {known}");
    let logged_out = fetched(&visitor, &logout, "POST", None).await;
    assert_eq!(logged_out[0], 204, "{logged_out}");
    let nobody = fetched(&visitor, &whoami, "GET", None).await;
    assert_eq!(nobody[0], 401, "{nobody}");
    visitor.leave().await;
}
