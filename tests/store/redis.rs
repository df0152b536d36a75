//! Redis that fails over, moves, hangs or lies. Nobody restarts anything.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use gatelodge::domain::keys::{KeyRing, SecretKey};
use gatelodge::entropy;
use gatelodge::store::hot::{HotStore, Touch};
use gatelodge::store::redis::Redis;
use tokio::time::timeout;

use super::hot::{NOW, record};
use crate::support::proxy::{FaultProxy, Mode, NewFlows};
use crate::support::redis_servers::{Cluster, Node, Sentinel};
use crate::support::within;

const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_millis(250);

/// From when Redis is there again.
const RECOVERY: Duration = Duration::from_secs(10);

fn store(url: &str, key_prefix: &str) -> HotStore {
    let key = SecretKey::parse(&entropy::random::<64>()).unwrap();
    let redis = Redis::new(url, None, COMMAND_TIMEOUT).unwrap();
    HotStore::new(redis, key_prefix, Arc::new(KeyRing::new(&key, &[])))
}

/// Everything that is done to a copy, each in time, whether or not it can be done.
async fn works(store: &HotStore) -> bool {
    let (digest, record) = record(Duration::from_mins(1));
    let kept = in_time(store.keep(&digest, &record, NOW)).await;
    let found = in_time(store.find(&digest)).await;
    let touch = [(digest, Arc::clone(&record))];
    let touched = in_time(store.touch(&touch, NOW)).await;
    let forgotten = in_time(store.forget(&[digest])).await;
    kept.is_ok()
        && found.is_ok_and(|found| found.map(Arc::new) == Some(record))
        && touched.is_ok_and(|touched| touched == [Touch::Recorded])
        && forgotten.is_ok()
}

/// Measured by the same timer as the deadline, which other work may keep waiting.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(COMMAND_TIMEOUT + SLACK, work)
        .await
        .expect("an operation has a deadline")
}

#[tokio::test]
async fn after_a_master_is_killed_its_successor_is_used() {
    let redis = Sentinel::start();
    let store = store(&redis.url(), "gatelodge");
    assert!(works(&store).await);
    redis.master.kill();
    within(RECOVERY, "the replica serves", async || works(&store).await).await;
    assert_eq!(redis.replica.role(), "master");
}

#[tokio::test]
async fn a_master_that_is_demoted_is_left() {
    let redis = Sentinel::start();
    let store = store(&redis.url(), "gatelodge");
    assert!(works(&store).await);
    redis.fail_over();
    // A sentinel waits for eight seconds before it demotes one that runs on.
    within(3 * RECOVERY, "the roles change", async || {
        redis.master.role() == "slave" && redis.replica.role() == "master"
    })
    .await;
    within(RECOVERY, "the replica serves", async || works(&store).await).await;
}

/// The name of a service may lead elsewhere while connections stay as they are.
#[tokio::test]
async fn a_server_that_takes_no_writes_any_more_is_connected_to_anew() {
    let (first, second) = (Node::start(&[]), Node::start(&[]));
    let proxy = FaultProxy::before(first.address());
    let store = store(&format!("redis://{}", proxy.address), "gatelodge");
    assert!(works(&store).await);
    first.tell(&format!("REPLICAOF 127.0.0.1 {}", second.port));
    assert!(!works(&store).await, "a replica is written to");
    proxy.lead_to(second.address());
    within(RECOVERY, "the other serves", async || works(&store).await).await;
}

#[tokio::test]
async fn connections_that_lead_nowhere_are_replaced_together() {
    let server = Node::start(&[]);
    let proxy = FaultProxy::before(server.address());
    let store = store(&format!("redis://{}", proxy.address), "gatelodge");
    let all_at_once = async || join_all((0..16).map(|_| works(&store))).await;
    assert!(all_at_once().await.iter().all(|works| *works));
    let connected = server.clients();
    assert!(connected > 4, "{connected} connections are enough to tell");
    proxy.set(Mode::Silent(NewFlows::Pass));
    // Were each to fail an operation of its own, this would take longer.
    within(RECOVERY, "it works again", async || works(&store).await).await;
    assert!(all_at_once().await.iter().all(|works| *works));
}

/// The threads that answer requests end one by one.
#[tokio::test]
async fn what_one_thread_has_opened_serves_others_when_it_has_ended() {
    const DELAY: Duration = Duration::from_millis(200);
    let server = Node::start(&[]);
    let proxy = FaultProxy::before(server.address());
    let store = Arc::new(store(&format!("redis://{}", proxy.address), "gatelodge"));
    let keep = |store: &Arc<HotStore>| {
        let (store, (digest, record)) = (Arc::clone(store), record(Duration::from_mins(1)));
        async move { store.keep(&digest, &record, NOW).await }
    };
    let thread = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    thread.spawn(keep(&store)).await.unwrap().unwrap();
    proxy.set(Mode::Delay(DELAY));
    let keeping = tokio::spawn(keep(&store));
    // It has been tried, and the command is on its way.
    tokio::time::sleep(3 * DELAY).await;
    thread.shutdown_background();
    keeping.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_slot_that_has_moved_is_followed() {
    let redis = Cluster::start(0);
    let store = store(&redis.url(), "{moved}");
    let (digest, record) = record(Duration::from_mins(1));
    store.keep(&digest, &record, NOW).await.unwrap();
    redis.move_slot(redis.slot("{moved}"));
    let found = in_time(store.find(&digest)).await.unwrap();
    assert_eq!(found.map(Arc::new), Some(record));
    assert!(works(&store).await);
}

#[tokio::test]
async fn after_a_node_is_killed_its_replica_is_used() {
    let redis = Cluster::start(1);
    let tag = (0..1_000)
        .map(|number| format!("{{{number}}}"))
        .find(|tag| redis.owner(redis.slot(tag)) == 0)
        .unwrap();
    let store = store(&redis.url(), &tag);
    assert!(works(&store).await);
    redis.nodes[0].kill();
    within(RECOVERY, "the replica serves", async || works(&store).await).await;
    assert_eq!(redis.replicas[0].role(), "master");
}

#[tokio::test]
async fn connections_to_nodes_that_lead_nowhere_are_replaced() {
    let redis = Cluster::start(0);
    let mut proxies = Vec::new();
    for node in &redis.nodes {
        let proxy = FaultProxy::before(node.address());
        let port = proxy.address.port();
        node.tell(&format!("CONFIG SET cluster-announce-port {port}"));
        proxies.push(proxy);
    }
    let ports: Vec<_> = proxies.iter().map(|proxy| proxy.address.port()).collect();
    within(RECOVERY, "the nodes know where they are", async || {
        redis.nodes.iter().all(|node| {
            let nodes: String = node.ask("CLUSTER NODES").unwrap();
            ports
                .iter()
                .all(|port| nodes.contains(&format!(":{port}@")))
        })
    })
    .await;
    let hosts: Vec<_> = ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    let store = store(&format!("redis+cluster://{}", hosts.join(",")), "gatelodge");
    let all_at_once = async || join_all((0..16).map(|_| works(&store))).await;
    assert!(all_at_once().await.iter().all(|works| *works));
    for proxy in &proxies {
        proxy.set(Mode::Silent(NewFlows::Pass));
    }
    within(RECOVERY, "all nodes are reached", async || {
        all_at_once().await.iter().all(|works| *works)
    })
    .await;
}
