//! What the gate is compared with, each in a process of the same shape: an actix
//! server with one worker, one route, and the same answer.
//!
//! `bench serve NAME BODY_LENGTH` prints the cookies that it knows, one a line, and
//! then where it listens. Settings come from the service's own variables.

mod actix_session;
mod denylist;
mod floor;
mod gate;
mod guard;
mod jwt;
mod refresh;
mod tokens;
mod unseen;

use std::io::Write as _;
use std::sync::OnceLock;

use actix_web::http::header::ContentType;
use actix_web::web::{Bytes, ServiceConfig, get, resource};
use actix_web::{App, HttpResponse, HttpServer, Resource};
use anyhow::{Context as _, Result, bail};
use gatelodge::config::Settings;

pub use jwt::{forged, rest_and_leeway};
pub use tokens::{LOG_IN, LOG_OUT, REFRESH, REFRESH_COOKIE};

use jwt::Issuer;
use refresh::{Kept, Refresh};
use tokens::Remedy;

use crate::stand::KEY_VARIABLE;

/// How many cookies are in turn.
pub const COOKIES: usize = 1000;
pub const PATH: &str = "/check";

static BODY: OnceLock<Bytes> = OnceLock::new();

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
pub async fn serve(name: &str, body_length: usize) -> Result<()> {
    let settings = Settings::load(None, std::env::vars())?;
    BODY.get_or_init(|| Bytes::from(vec![b'x'; body_length]));
    match name {
        "floor" => floor::serve().await,
        "unseen" => unseen::serve().await,
        "gate" => gate::serve(&settings).await,
        "hs256" => tokens::serve(hs256()?, Remedy::None).await,
        "eddsa" => tokens::serve(Issuer::eddsa()?, Remedy::None).await,
        "rs256" => tokens::serve(Issuer::rs256()?, Remedy::None).await,
        "refresh" => serve_with_refresh(&settings, Kept::Digest).await,
        "refresh-kept-as-they-are" => serve_with_refresh(&settings, Kept::Token).await,
        "denylist" => {
            let redis = redis(&settings)?.to_owned();
            tokens::serve(hs256()?, Remedy::Denylist(redis)).await
        }
        "actix-session" => actix_session::serve(redis(&settings)?).await,
        _ => bail!("there is no baseline {name}"),
    }
}

/// With the service's own key, which outlives the process.
fn hs256() -> Result<Issuer> {
    let secret = std::env::var(KEY_VARIABLE)?;
    Ok(Issuer::hs256(secret.as_bytes()))
}

async fn serve_with_refresh(settings: &Settings, kept: Kept) -> Result<()> {
    let refresh = Refresh::connect(&settings.database.url, kept).await?;
    tokens::serve(hs256()?, Remedy::Refresh(refresh)).await
}

fn redis(settings: &Settings) -> Result<&str> {
    settings
        .redis
        .url
        .as_deref()
        .context("REDIS_URL is missing")
}

async fn answer() -> HttpResponse {
    let body = BODY.get().cloned().unwrap_or_default();
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(body)
}

/// The one route, still open to all.
fn route() -> Resource {
    resource(PATH).route(get().to(answer))
}

#[expect(clippy::print_stdout, reason = "who has started it reads this")]
async fn run<F>(cookies: &[String], configure: F) -> Result<()>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let server = HttpServer::new(move || App::new().configure(configure.clone()))
        .workers(1)
        .bind(("127.0.0.1", 0))?;
    for cookie in cookies {
        println!("{cookie}");
    }
    for address in server.addrs() {
        println!("listens on http://{address}");
    }
    std::io::stdout().flush()?;
    Ok(server.run().await?)
}
