//! With TLS, Redis is whom a trusted authority says it is, or nobody.

use std::sync::Arc;
use std::time::Duration;

use gatelodge::domain::digest::TokenDigest;
use gatelodge::domain::keys::{KeyRing, SecretKey};
use gatelodge::entropy;
use gatelodge::store::hot::HotStore;
use gatelodge::store::redis::Redis;

use crate::support::certificates::{Authority, Validity};
use crate::support::redis_servers::Node;
use crate::support::servers::free_port;

/// A server, told by its words on the command line, that also speaks TLS.
struct TlsNode {
    node: Node,
    tls_port: u16,
}

impl TlsNode {
    fn start(authority: &Authority, validity: Validity, options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tls_port = free_port();
        let port = tls_port.to_string();
        let signed = authority.sign_for_redis(directory.path(), validity);
        let mut words = vec!["--tls-port", &port];
        words.extend(signed.iter().map(String::as_str));
        words.extend(options);
        Self {
            node: Node::start(&words),
            tls_port,
        }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.tls_port)
    }
}

async fn answers(url: &str, ca: Option<&Authority>) -> bool {
    let key = SecretKey::parse(&entropy::random::<64>()).unwrap();
    let keys = Arc::new(KeyRing::new(&key, &[]));
    let ca = ca.map(|authority| authority.pem.as_bytes());
    let redis = Redis::new(url, ca, Duration::from_secs(2)).unwrap();
    let store = HotStore::new(redis, "gatelodge", keys);
    let digest = TokenDigest::from_bytes(entropy::random());
    store.find(&digest).await.is_ok()
}

#[tokio::test]
async fn a_server_is_believed_with_the_right_authority_alone() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = TlsNode::start(&ours, Validity::Valid, &[]);
    let url = server.url("rediss");
    assert!(answers(&url, Some(&ours)).await);
    assert!(!answers(&url, Some(&other)).await);
    assert!(!answers(&url, None).await, "the public does not know it");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let server = TlsNode::start(&authority, Validity::Expired, &[]);
    assert!(!answers(&server.url("rediss"), Some(&authority)).await);
}

#[tokio::test]
async fn a_server_without_tls_is_refused() {
    let server = Node::start(&[]);
    let url = format!("rediss://localhost:{}", server.port);
    assert!(answers(&server.url(), None).await);
    assert!(!answers(&url, Some(&Authority::new())).await);
}

#[tokio::test]
async fn a_cluster_is_held_to_its_authority() {
    let (ours, other) = (Authority::new(), Authority::new());
    let bus = free_port().to_string();
    let options = [
        ["--cluster-enabled", "yes"],
        ["--tls-cluster", "yes"],
        ["--cluster-port", &bus],
    ]
    .concat();
    let server = TlsNode::start(&ours, Validity::Valid, &options);
    server.node.tell("CLUSTER ADDSLOTSRANGE 0 16383");
    crate::support::eventually("the cluster is whole", async || {
        server
            .node
            .ask::<String>("CLUSTER INFO")
            .unwrap()
            .contains("cluster_state:ok")
    })
    .await;
    let url = server.url("rediss+cluster");
    assert!(answers(&url, Some(&ours)).await);
    assert!(!answers(&url, Some(&other)).await);
}
