//! The usual remedy for tokens that cannot be revoked: HS256, and a look in Redis
//! whether this one has been.

use actix_web::HttpRequest;
use anyhow::Result;
use redis::Client;
use redis::aio::MultiplexedConnection;
use tokio::sync::OnceCell;

use super::guard::{Guard, Identify};
use super::jwt::{Claims, Jwt, hs256};
use super::{route, run};

struct Denylist {
    jwt: Jwt,
    client: Client,
    /// One for each worker, made at its first request.
    connection: OnceCell<MultiplexedConnection>,
}

impl Identify for Denylist {
    type Identity = Claims;

    async fn identify(&self, request: &HttpRequest) -> Option<Claims> {
        let claims = self.jwt.verify(request)?;
        let connect = || self.client.get_multiplexed_async_connection();
        let mut connection = self.connection.get_or_try_init(connect).await.ok()?.clone();
        let mut exists = redis::cmd("EXISTS");
        exists.arg(format!("denied:{}", claims.sid));
        let is_denied: bool = exists.query_async(&mut connection).await.ok()?;
        (!is_denied).then_some(claims)
    }
}

pub(super) async fn serve(redis: &str) -> Result<()> {
    let (issued, client) = (hs256()?, Client::open(redis)?);
    let jwt = issued.jwt;
    run(&issued.cookies, move |app| {
        let denylist = Denylist {
            jwt: jwt.clone(),
            client: client.clone(),
            connection: OnceCell::new(),
        };
        app.service(route().wrap(Guard::new(denylist)));
    })
    .await
}
