//! Listening to a channel. Who hears nothing cannot tell silence from a connection
//! that leads nowhere: who listens must know how long silence can be.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::select_ok;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Client, ConnectionInfo, RedisResult};

use super::address::Address;
use super::failure::Failure;
use crate::store::Unavailable;

/// What is said on a channel from now on.
pub struct Subscription {
    messages: PubSubStream,
    /// Keeps the connection.
    _requests: PubSubSink,
}

/// A message that is published to a cluster reaches all nodes, so any will do; the
/// first that answers does.
pub(super) async fn subscribe(
    address: Arc<Address>,
    channel: &str,
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
        messages,
        _requests: requests,
    })
}

async fn listen(server: ConnectionInfo, channel: &str) -> RedisResult<(PubSubSink, PubSubStream)> {
    let mut listener = Client::open(server)?.get_async_pubsub().await?;
    listener.subscribe(channel).await?;
    Ok(listener.split())
}

impl Subscription {
    /// The next message; an error when the connection has ended.
    pub(in crate::store) async fn next(&mut self) -> Result<Vec<u8>, Unavailable> {
        let message = self.messages.next().await;
        let message = message.ok_or_else(|| Unavailable::redis(Failure::Ended))?;
        Ok(message.get_payload_bytes().to_vec())
    }
}
