//! Sentinels know which server is the master. One of them may be down, hang, or
//! have missed a failover; so all are asked at once, and who they name is asked
//! whether it is one.

use anyhow::{Context as _, ensure};
use futures_util::future::select_ok;
use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionInfo, RedisResult, Role, TlsCertificates};

use super::address;

pub(super) struct Sentinels {
    pub(super) places: Vec<ConnectionInfo>,
    /// The name under which they watch over it.
    pub(super) master: String,
    /// Like each server but for its place, which is the sentinels' to say.
    pub(super) server: ConnectionInfo,
    pub(super) certificates: Option<TlsCertificates>,
}

impl Sentinels {
    /// Where the master is now. Takes as long as the slowest sentinel, if none
    /// knows: whoever calls has a deadline.
    pub(super) async fn find_master(&self) -> anyhow::Result<ConnectionInfo> {
        let asked = self
            .places
            .iter()
            .map(|sentinel| Box::pin(self.find_master_by(sentinel)));
        let (master, _) = select_ok(asked).await?;
        Ok(master)
    }

    async fn find_master_by(&self, sentinel: &ConnectionInfo) -> anyhow::Result<ConnectionInfo> {
        let place = match self.ask(sentinel.clone()).await {
            Err(refused) if refused.code() == Some("NOAUTH") => {
                let login = self.server.redis_settings().clone();
                self.ask(sentinel.clone().set_redis_settings(login.set_db(0)))
                    .await
            }
            place => place,
        };
        let (host, port) = place
            .context("a sentinel does not answer")?
            .with_context(|| format!("a sentinel knows no master {:?}", self.master))?;
        let server = address::at(&self.server, host, port, self.certificates.as_ref())?;
        let mut connection = connect(server.clone()).await?;
        ensure!(
            is_master(&mut connection).await?,
            "who a sentinel names is no master"
        );
        Ok(server)
    }

    async fn ask(&self, sentinel: ConnectionInfo) -> RedisResult<Option<(String, u16)>> {
        let mut connection = connect(sentinel).await?;
        redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.master)
            .query_async(&mut connection)
            .await
    }
}

async fn connect(server: ConnectionInfo) -> RedisResult<MultiplexedConnection> {
    Client::open(server)?
        .get_multiplexed_async_connection()
        .await
}

pub(super) async fn is_master(connection: &mut MultiplexedConnection) -> RedisResult<bool> {
    let role = redis::cmd("ROLE").query_async(connection).await?;
    Ok(matches!(role, Role::Primary { .. }))
}
