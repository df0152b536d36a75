//! In a browser: in pages of the service's own origin and of an allowed one.

use std::sync::LazyLock;

use actix_web::web::{Bytes, Data, to};
use actix_web::{App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::PACKAGE;
use crate::site;
use crate::support::app::{PASSWORD, Stack, TestApp};
use crate::support::chromium::Visitor;
use crate::support::servers::free_port;

const EMAIL: &str = "ada@example.com";

/// An app that shows who is logged in.
const PAGE: &str = include_str!("page.html");

/// What stands before an app: the app itself, and the service where it is of the same
/// origin.
struct Front {
    page: String,
    service: Option<String>,
    client: Client,
}

fn serve(port: u16, base: &str, service: Option<String>) {
    // Not while a browser waits for it.
    LazyLock::force(&PACKAGE);
    let front = Data::new(Front {
        page: PAGE.replace("BASE", base),
        service,
        client: Client::builder().redirect(Policy::none()).build().unwrap(),
    });
    let server = HttpServer::new(move || {
        let app = App::new().app_data(front.clone());
        app.default_service(to(answer))
    });
    let server = server.workers(1).disable_signals();
    tokio::spawn(server.bind(("127.0.0.1", port)).unwrap().run());
}

async fn answer(request: HttpRequest, body: Bytes, front: Data<Front>) -> HttpResponse {
    let module = request.path().strip_prefix("/client/");
    match (request.path(), module, &front.service) {
        ("/", _, _) => HttpResponse::Ok()
            .content_type("text/html")
            .body(front.page.clone()),
        (_, Some(module), _) => HttpResponse::Ok()
            .content_type("text/javascript")
            .body(std::fs::read(PACKAGE.join("dist").join(module)).unwrap()),
        (_, _, Some(service)) => pass_on(&request, body, &front.client, service).await,
        _ => HttpResponse::NotFound().finish(),
    }
}

async fn pass_on(
    request: &HttpRequest,
    body: Bytes,
    client: &Client,
    service: &str,
) -> HttpResponse {
    let method: Method = request.method().as_str().parse().unwrap();
    let address = format!("{service}{}", request.uri());
    let mut asked = client.request(method, address).body(body);
    for (name, value) in request.headers() {
        asked = asked.header(name.as_str(), value.as_bytes());
    }
    let answered = asked.send().await.unwrap();
    let status = answered.status().as_u16().try_into().unwrap();
    let mut answer = HttpResponseBuilder::new(status);
    for (name, value) in answered.headers() {
        answer.append_header((name.as_str(), value.as_bytes()));
    }
    answer.body(answered.bytes().await.unwrap())
}

async fn log_in(visitor: &Visitor) -> Value {
    let credentials = json!({ "email": EMAIL, "password": PASSWORD });
    let logged_in = visitor
        .promised(&format!("gatelodge.login({credentials})"))
        .await;
    assert_eq!(logged_in["user"]["email"], EMAIL, "{logged_in}");
    logged_in["session"]["id"].clone()
}

/// Somebody with the app on a laptop and a phone, until they are logged out.
async fn live(service: &TestApp, app: &str, auth: &str) {
    service.registered(EMAIL).await.log_out().await;
    let (laptop, phone) = tokio::join!(Visitor::to(app), Visitor::to(app));
    laptop.go("/").await;
    laptop.shows("logged_out").await;
    let nobody = laptop.promised("gatelodge.whoami()").await;
    assert_eq!(nobody, Value::Null);
    let refused = "gatelodge.login({ email: 'ada@example.com', password: 'not the password' })";
    let refused = laptop
        .promised(&format!("{refused}.catch(({{ code }}) => code)"))
        .await;
    assert_eq!(refused, "invalid_credentials");
    log_in(&laptop).await;
    laptop.shows(EMAIL).await;
    assert_eq!(laptop.run("return document.cookie").await, "");
    let known = laptop.promised("gatelodge.whoami()").await;
    assert_eq!(known["user"]["email"], EMAIL, "{known}");

    // The phone's session is ended from the laptop, and the phone is sent to log in.
    phone.go("/").await;
    let on_phone = log_in(&phone).await;
    let ended = format!("gatelodge.sessions.end({on_phone}, {{ wait: 'effective' }})");
    assert_eq!(laptop.promised(&ended).await, Value::Null);
    phone
        .run("Promise.allSettled([gatelodge.sessions.list(), gatelodge.sessions.list()])")
        .await;
    let back = format!("{app}/");
    let encoded: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
    phone
        .is_at(&format!("{auth}/login?return_to={encoded}"))
        .await;
    phone.shows("Your session has ended").await;
    phone.fill("email", EMAIL).await;
    phone.fill("password", PASSWORD).await;
    phone.click("Log in").await;
    phone.is_at(&back).await;
    phone.shows(EMAIL).await;

    // A page that is seen again finds out by itself.
    let ended = laptop.promised("gatelodge.sessions.endOthers()").await;
    assert_eq!(ended["revoked"], 1, "{ended}");
    phone.shows(EMAIL).await;
    phone
        .run("document.dispatchEvent(new Event('visibilitychange'))")
        .await;
    phone.shows("logged_out").await;
    log_in(&phone).await;

    // What one tab does, the other hears.
    laptop.go("/").await;
    laptop
        .run(
            "const tab = document.createElement('iframe');
            tab.src = '/';
            document.querySelector('main').append(tab);",
        )
        .await;
    let heard = |said: &str| {
        format!(
            "new Promise((resolve) => {{
                const look = () => {{
                    const tab = document.querySelector('iframe').contentDocument;
                    const text = tab?.querySelector('#who')?.textContent ?? '';
                    text.includes('{said}') ? resolve(text) : setTimeout(look, 10);
                }};
                look();
            }})"
        )
    };
    laptop.promised(&heard(EMAIL)).await;
    let logged_out = laptop.promised("gatelodge.logout()").await;
    assert_eq!(logged_out, Value::Null);
    laptop.promised(&heard("logged_out")).await;
    laptop.shows("logged_out").await;
    let known = phone.promised("gatelodge.whoami()").await;
    assert_eq!(known["user"]["email"], EMAIL, "the other browser stays");
    for visitor in [laptop, phone] {
        visitor.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_of_the_same_origin_logs_in_and_is_sent_to_log_in_when_it_has_ended() {
    let port = free_port();
    let origin = format!("http://localhost:{port}");
    let settings = [("GATELODGE_SERVER__PUBLIC_URL", origin.as_str())];
    let service = TestApp::spawn_with(Stack::Embedded, &settings).await;
    serve(port, "", Some(format!("http://{}", service.address)));
    live(&service, &origin, &origin).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_does_an_app_of_an_allowed_origin() {
    let port = free_port();
    let origin = format!("http://localhost:{port}");
    let settings = [
        ("GATELODGE_CORS__ALLOWED_ORIGINS", origin.as_str()),
        ("GATELODGE_AUTHZ__ALLOWED_RETURN_ORIGINS", origin.as_str()),
    ];
    let (service, auth) = site(Stack::Scaled, &settings).await;
    serve(port, &auth, None);
    live(&service, &origin, &auth).await;
}
