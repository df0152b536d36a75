//! What the hot store must do, however Redis is deployed.

use std::sync::Arc;
use std::time::Duration;

use gatelodge::domain::audit::Source;
use gatelodge::domain::client::Client;
use gatelodge::domain::digest::TokenDigest;
use gatelodge::domain::email::Email;
use gatelodge::domain::id::{SessionId, UserId};
use gatelodge::domain::keys::{KeyRing, SecretKey};
use gatelodge::domain::revocation::{LogNumber, MarkPrefix, Vouched};
use gatelodge::domain::session::{Draft, Lifetime, Record, Session};
use gatelodge::domain::time::Timestamp;
use gatelodge::domain::user::{Role, Status, User, UserName};
use gatelodge::entropy;
use gatelodge::store;
use gatelodge::store::hot::{HotStore, Touch};
use rstest::rstest;

use crate::support::redis_servers::{CLUSTER, SENTINEL};
use crate::support::servers::REDIS;

#[derive(Clone, Copy, Debug)]
enum Backend {
    Redis,
    Sentinel,
    Cluster,
}
use Backend::{Cluster, Redis, Sentinel};

fn store(backend: Backend) -> HotStore {
    match backend {
        Redis => redis(&REDIS.url, Duration::from_secs(1)),
        Sentinel => redis(&SENTINEL.url(), Duration::from_secs(1)),
        Cluster => redis(&CLUSTER.url(), Duration::from_secs(1)),
    }
}

fn redis(url: &str, command_timeout: Duration) -> HotStore {
    let key = SecretKey::parse(&entropy::random::<64>()).unwrap();
    let prefix = format!("gatelodge_test_{}", uuid::Uuid::now_v7().simple());
    let redis = store::redis::Redis::new(url, None, command_timeout).unwrap();
    HotStore::new(redis, &prefix, Arc::new(KeyRing::new(&key, &[])))
}

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(super) fn record(idle: Duration) -> (TokenDigest, Arc<Record>) {
    let digest = TokenDigest::from_bytes(entropy::random());
    let user = User {
        id: UserId::new(NOW, entropy::random()),
        email: Email::parse("ada@example.com").unwrap(),
        name: UserName::parse("Ada Lovelace").unwrap(),
        role: Role::Admin,
        status: Status::Active,
        created_at: NOW,
    };
    let draft = Draft {
        id: SessionId::new(NOW, entropy::random()),
        digest,
        issued_at: NOW,
        lifetime: Lifetime {
            idle,
            absolute: Duration::from_hours(24),
        },
        remember_me: true,
        client: Client {
            source: Source {
                address: Some("2001:db8::1".parse().unwrap()),
                request: None,
            },
            user_agent: None,
        },
    };
    let session = Session::from_draft(draft, user.id, LogNumber::new(7));
    let vouched = Vouched {
        number: LogNumber::new(9),
        mark: MarkPrefix([1, 2, 3, 4]),
    };
    (digest, Arc::new(Record::new(session, user, vouched)))
}

#[rstest]
#[tokio::test]
async fn what_is_kept_is_found_as_it_was(#[values(Redis, Sentinel, Cluster)] backend: Backend) {
    let store = store(backend);
    let (digest, record) = record(Duration::from_mins(1));
    assert_eq!(store.find(&digest).await.unwrap(), None);
    store.keep(&digest, &record, NOW).await.unwrap();
    assert_eq!(
        store.find(&digest).await.unwrap().map(Arc::new),
        Some(record)
    );
    let other = TokenDigest::from_bytes(entropy::random());
    assert_eq!(store.find(&other).await.unwrap(), None);
}

#[rstest]
#[tokio::test]
async fn a_touch_changes_what_is_there_and_creates_nothing(
    #[values(Redis, Sentinel, Cluster)] backend: Backend,
) {
    let store = store(backend);
    let (digest, record) = record(Duration::from_mins(1));
    let (stranger, _) = self::record(Duration::from_mins(1));
    let seen = Arc::new(record.seen_at(NOW + Duration::from_secs(30)));
    let touches = [(stranger, Arc::clone(&record)), (digest, Arc::clone(&seen))];
    let touch = async || store.touch(&touches, NOW).await.unwrap();

    assert_eq!(touch().await, [Touch::Absent, Touch::Absent]);
    assert_eq!(store.find(&digest).await.unwrap(), None);
    store.keep(&digest, &record, NOW).await.unwrap();
    assert_eq!(touch().await, [Touch::Absent, Touch::Recorded]);
    assert_eq!(
        store.find(&digest).await.unwrap().map(Arc::new),
        Some(seen.clone())
    );
    store.forget(&[digest]).await.unwrap();
    assert_eq!(touch().await, [Touch::Absent, Touch::Absent]);
    assert_eq!(store.find(&digest).await.unwrap(), None);
    assert_eq!(store.find(&stranger).await.unwrap(), None);
    assert_eq!(store.touch(&[], NOW).await.unwrap(), []);
}

#[rstest]
#[tokio::test]
async fn forgetting_is_idempotent_and_takes_only_what_is_named(
    #[values(Redis, Sentinel, Cluster)] backend: Backend,
) {
    let store = store(backend);
    let (first, second, third) = (
        record(Duration::from_mins(1)),
        record(Duration::from_mins(1)),
        record(Duration::from_mins(1)),
    );
    for (digest, record) in [&first, &second, &third] {
        store.keep(digest, record, NOW).await.unwrap();
    }
    store.forget(&[first.0, second.0]).await.unwrap();
    store.forget(&[first.0, second.0]).await.unwrap();
    store.forget(&[]).await.unwrap();
    assert_eq!(store.find(&first.0).await.unwrap(), None);
    assert_eq!(store.find(&second.0).await.unwrap(), None);
    assert_eq!(
        store.find(&third.0).await.unwrap().map(Arc::new),
        Some(third.1)
    );
}

#[tokio::test]
async fn redis_drops_what_has_expired() {
    let store = store(Redis);
    let (digest, record) = record(Duration::from_millis(300));
    store.keep(&digest, &record, NOW).await.unwrap();
    assert!(store.find(&digest).await.unwrap().is_some());
    crate::support::eventually("the copy is dropped", async || {
        store.find(&digest).await.unwrap().is_none()
    })
    .await;
}

#[rstest]
#[case("redis://{}")]
#[case("redis+sentinel://{}/main")]
#[case("redis+cluster://{}")]
#[tokio::test]
async fn a_redis_that_does_not_answer_is_an_error_and_not_an_absence(#[case] url: &str) {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = url.replace("{}", &silent.local_addr().unwrap().to_string());
    let store = redis(&url, Duration::from_millis(100));
    let (digest, record) = record(Duration::from_mins(1));
    let started = std::time::Instant::now();
    assert!(store.find(&digest).await.is_err());
    assert!(store.keep(&digest, &record, NOW).await.is_err());
    assert!(store.touch(&[(digest, record)], NOW).await.is_err());
    assert!(store.forget(&[digest]).await.is_err());
    assert!(started.elapsed() < Duration::from_secs(2));
}
