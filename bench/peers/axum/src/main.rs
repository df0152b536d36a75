//! axum with axum-login on tower-sessions, in Redis.

use std::{collections::HashMap, convert::Infallible, env, error::Error, sync::Arc};

use axum::{
    Json, Router,
    http::StatusCode,
    routing::{get, post},
};
use axum_login::{
    AuthManagerLayerBuilder, AuthUser, AuthnBackend, UserId,
    tower_sessions::{Expiry, SessionManagerLayer},
};
use serde::Deserialize;
use serde_json::{Value, json};
use time::Duration;
use tokio::{net::TcpListener, task::spawn_blocking};
use tower_sessions_redis_store::{
    RedisStore,
    fred::prelude::{ClientLike, Config, Pool},
};

/// bcrypt, cost 12, of "correct horse battery staple".
const PASSWORD_HASH: &str = "$2b$12$XwBhUUEpQQjvSGtDby0y1.RCKejkT6nNWU9x0almq6fTvZfR3Y8NG";

#[derive(Clone, Debug)]
struct User {
    id: i64,
    email: &'static str,
    name: &'static str,
    password_hash: &'static str,
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.password_hash.as_bytes()
    }
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

#[derive(Clone)]
struct Users(Arc<HashMap<i64, User>>);

impl AuthnBackend for Users {
    type User = User;
    type Credentials = Credentials;
    type Error = Infallible;

    async fn authenticate(
        &self,
        Credentials { email, password }: Credentials,
    ) -> Result<Option<User>, Infallible> {
        let Some(user) = self.0.values().find(|user| user.email == email).cloned() else {
            return Ok(None);
        };
        let verified = spawn_blocking(move || bcrypt::verify(password, user.password_hash))
            .await
            .expect("verifying does not panic")
            .expect("the hash is well-formed");
        Ok(verified.then_some(user))
    }

    async fn get_user(&self, id: &UserId<Self>) -> Result<Option<User>, Infallible> {
        Ok(self.0.get(id).cloned())
    }
}

type AuthSession = axum_login::AuthSession<Users>;

fn body(user: &User) -> Json<Value> {
    Json(json!({ "user": { "id": user.id, "email": user.email, "name": user.name } }))
}

async fn login(
    mut session: AuthSession,
    Json(credentials): Json<Credentials>,
) -> Result<Json<Value>, StatusCode> {
    let user = session
        .authenticate(credentials)
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?
        .ok_or(StatusCode::UNAUTHORIZED)?;
    session
        .login(&user)
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(body(&user))
}

async fn whoami(session: AuthSession) -> Result<Json<Value>, StatusCode> {
    session
        .user
        .as_ref()
        .map(body)
        .ok_or(StatusCode::UNAUTHORIZED)
}

async fn serve(port: u16, redis_url: &str) -> Result<(), Box<dyn Error>> {
    let redis = Pool::new(Config::from_url(redis_url)?, None, None, None, 6)?;
    redis.init().await?;

    let sessions = SessionManagerLayer::new(RedisStore::new(redis))
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(Duration::days(1)));
    let ada = User {
        id: 1,
        email: "ada@example.com",
        name: "Ada Lovelace",
        password_hash: PASSWORD_HASH,
    };
    let users = Users(Arc::new(HashMap::from([(ada.id, ada)])));

    let app = Router::new()
        .route("/login", post(login))
        .route("/whoami", get(whoami))
        .layer(AuthManagerLayerBuilder::new(users, sessions).build())
        .route("/health", get(|| async { StatusCode::OK }));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, app).await?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(port), Some(redis_url)) = (args.next(), args.next()) else {
        return Err("usage: axum-peer PORT REDIS_URL".into());
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Ok(workers) = env::var("WORKERS") {
        runtime.worker_threads(workers.parse()?);
    }
    runtime
        .enable_all()
        .build()?
        .block_on(serve(port.parse()?, &redis_url))
}
