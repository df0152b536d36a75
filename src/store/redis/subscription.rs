//! Listening to a channel. Who listens and hears nothing cannot tell silence from
//! a connection that leads nowhere; so now and then a subscription asks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::select_ok;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Client, ConnectionInfo, RedisResult};
use tokio::time::{Instant, timeout, timeout_at};

use super::address::Address;
use super::failure::Failure;
use crate::store::Unavailable;

/// How long silence is believed.
const SILENCE: Duration = Duration::from_secs(3);

/// What is said on a channel from now on.
pub struct Subscription {
    requests: PubSubSink,
    messages: PubSubStream,
    heard: Instant,
    command_timeout: Duration,
}

/// A message that is published to a cluster reaches all nodes, so any will do; the
/// first that answers does.
pub(super) async fn subscribe(
    address: Arc<Address>,
    channel: &str,
    command_timeout: Duration,
) -> Result<Subscription, Failure> {
    let (requests, messages) = match &*address {
        Address::Server(server) => listen(server.clone(), channel).await?,
        Address::Sentinel(sentinels) => {
            let master = sentinels.find_master().await;
            let master = master.map_err(|error| Failure::Unreachable(Arc::new(error)))?;
            listen(master, channel).await?
        }
        Address::Cluster(cluster) => {
            let nodes = cluster.nodes.iter().cloned();
            let (first, _) = select_ok(nodes.map(|node| Box::pin(listen(node, channel)))).await?;
            first
        }
    };
    Ok(Subscription {
        requests,
        messages,
        heard: Instant::now(),
        command_timeout,
    })
}

async fn listen(server: ConnectionInfo, channel: &str) -> RedisResult<(PubSubSink, PubSubStream)> {
    let mut listener = Client::open(server)?.get_async_pubsub().await?;
    listener.subscribe(channel).await?;
    Ok(listener.split())
}

impl Subscription {
    /// The next message; an error when the connection has ended, or no longer leads
    /// anywhere. What was not waited for until the end is not lost.
    pub(in crate::store) async fn next(&mut self) -> Result<Vec<u8>, Unavailable> {
        loop {
            match timeout_at(self.heard + SILENCE, self.messages.next()).await {
                Ok(Some(message)) => {
                    self.heard = Instant::now();
                    return Ok(message.get_payload_bytes().to_vec());
                }
                Ok(None) => return Err(Unavailable::redis(Failure::Ended)),
                Err(_) => self.ask().await.map_err(Unavailable::redis)?,
            }
        }
    }

    async fn ask(&mut self) -> Result<(), Failure> {
        timeout(self.command_timeout, self.requests.ping::<redis::Value>()).await??;
        self.heard = Instant::now();
        Ok(())
    }
}
