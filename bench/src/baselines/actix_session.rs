//! actix-session over its own Redis store, set up as its documentation shows.

use actix_session::storage::RedisSessionStore;
use actix_session::{SessionExt as _, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::http::header::SET_COOKIE;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::to;
use actix_web::{App, HttpRequest, HttpResponse};
use anyhow::{Context as _, Result, anyhow};

use super::guard::{Guard, Identify};
use super::{COOKIES, route, run};
use crate::stand::{COOKIE_NAME, email};

const USER: &str = "user_id";

struct UserOfSession;

impl Identify for UserOfSession {
    type Identity = String;

    async fn identify(&self, request: &HttpRequest) -> Option<String> {
        request.get_session().get(USER).ok().flatten()
    }
}

fn middleware(store: &RedisSessionStore, key: &Key) -> SessionMiddleware<RedisSessionStore> {
    SessionMiddleware::builder(store.clone(), key.clone())
        .cookie_name(COOKIE_NAME.to_owned())
        .build()
}

pub(super) async fn serve(redis: &str) -> Result<()> {
    let store = RedisSessionStore::new(redis).await?;
    let key = Key::generate();
    let cookies = log_in(&store, &key).await?;
    run(&cookies, move |app| {
        // What is wrapped last acts first.
        let gated = route().wrap(Guard::new(UserOfSession));
        app.service(gated.wrap(middleware(&store, &key)));
    })
    .await
}

async fn log_in(store: &RedisSessionStore, key: &Key) -> Result<Vec<String>> {
    let issue = async |request: HttpRequest| {
        let number = request.query_string().parse().unwrap_or_default();
        match request.get_session().insert(USER, email(number)) {
            Ok(()) => HttpResponse::Ok().finish(),
            Err(_) => HttpResponse::InternalServerError().finish(),
        }
    };
    let app = App::new()
        .wrap(middleware(store, key))
        .default_service(to(issue));
    let app = init_service(app).await;
    let mut cookies = Vec::with_capacity(COOKIES);
    for number in 0..COOKIES {
        let request = TestRequest::with_uri(&format!("/?{number}")).to_request();
        let answer = call_service(&app, request).await;
        let cookie = answer.headers().get(SET_COOKIE).context("no session")?;
        let (pair, _) = cookie
            .to_str()?
            .split_once(';')
            .ok_or_else(|| anyhow!("a bare cookie"))?;
        cookies.push(pair.to_owned());
    }
    Ok(cookies)
}
