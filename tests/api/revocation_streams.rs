//! The life of a stream of revocations.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use gatelodge::domain::time::Timestamp;
use gatelodge::startup::Stop;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use rustix::io::ioctl_fionread;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::Stack::{self, Embedded, Scaled};
use crate::support::app::PASSWORD;
use crate::support::feed::{CREDENTIAL, MANY, Stream};
use crate::support::proxy::{Ending, FaultProxy, Mode};
use crate::support::servers::REDIS;
use crate::support::{Browser, TestApp, within};

/// P1: a revocation holds everywhere.
const PROMISED: Duration = Duration::from_secs(1);

/// From when a store takes writes again.
const RECOVERY: Duration = Duration::from_secs(10);

/// As far apart as they may be.
const SELDOM: (&str, &str) = ("GATELODGE_SESSION__POLL_INTERVAL", "2500ms");

async fn end_a_session(address: SocketAddr) {
    let mut browser = Browser::new(address);
    let answer = browser.log_in("ada@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(browser.log_out().await.status, 204);
}

/// What happens to somebody who follows the log.
#[derive(Clone, Debug)]
enum Step {
    /// So many sessions end, and are not waited for.
    End(usize),
    /// So many entries are read, if there are any.
    Read(usize),
    /// The connection is lost, and taken up again at either instance.
    Reconnect(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..4_usize).prop_map(Step::End),
        3 => (0..4_usize).prop_map(Step::Read),
        2 => (0..2_usize).prop_map(Step::Reconnect),
    ]
}

/// What has been read of the log, and from where it goes on.
struct Follower<'a> {
    apps: &'a [TestApp],
    stream: Stream,
    read: Vec<Value>,
    last_event_id: String,
}

impl<'a> Follower<'a> {
    async fn of(apps: &'a [TestApp]) -> Self {
        let mut stream = apps[0].service().stream(None).await;
        let (_, head) = stream.up_to_head().await;
        Self {
            apps,
            stream,
            read: Vec::new(),
            last_event_id: head.id.unwrap(),
        }
    }

    /// The next entries, as far as there are any.
    async fn read(&mut self, number: usize) {
        let until = self.read.len() + number;
        while self.read.len() < until {
            let event = self.stream.next().await.unwrap();
            self.last_event_id = event.id.unwrap_or(self.last_event_id.clone());
            match event.name.as_str() {
                "entry" => self.read.push(event.data),
                "head" => return,
                _ => {}
            }
        }
    }

    async fn reconnect(&mut self, at: usize) {
        let service = self.apps[at % self.apps.len()].service();
        self.stream = service.stream(Some(&self.last_event_id)).await;
    }
}

async fn is_what_the_log_says(apps: &[TestApp], steps: Vec<Step>) {
    let mut follower = Follower::of(apps).await;
    let (start, _) = follower.last_event_id.split_once('-').unwrap();
    let start = start.parse().unwrap();
    let mut ending = JoinSet::new();
    for step in steps {
        match step {
            Step::End(number) => (0..number).for_each(|at| {
                ending.spawn(end_a_session(apps[at % apps.len()].address));
            }),
            Step::Read(number) => follower.read(number).await,
            Step::Reconnect(at) => follower.reconnect(at).await,
        }
    }
    ending.join_all().await;
    let log = apps[0].service().entries(start).await;
    while follower.read.len() < log.len() {
        follower.read(1).await;
    }
    assert_eq!(follower.read, log);
}

/// Whatever is revoked, and whenever the connection is lost.
#[rstest]
fn what_is_read_of_all_streams_is_the_log(#[values(Embedded, Scaled)] stack: Stack) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let apps = runtime.block_on(async {
        let first = TestApp::spawn(stack).await;
        first.registered("ada@example.com").await;
        match stack {
            Embedded => vec![first],
            Scaled => {
                let second = first.another_instance().await;
                vec![first, second]
            }
        }
    });
    let mut runner = TestRunner::new(Config {
        cases: 16,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&vec(step(), 1..12), |steps| {
        runtime.block_on(is_what_the_log_says(&apps, steps));
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(async { drop(apps) });
}

/// Who follows it reckons from when it was asked for.
#[tokio::test]
async fn a_stream_does_not_begin_before_it_is_asked_for() {
    let app = TestApp::spawn(Embedded).await;
    for _ in 0..3 {
        let asked_at = app.clock.now();
        let mut stream = app.service().stream(None).await;
        let window = stream.next_of("window").await;
        let at = Timestamp::parse(window.data["at"].as_str().unwrap()).unwrap();
        assert!(asked_at <= at, "{at}, asked at {asked_at}");
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn another_instances_revocation_comes_by_push() {
    let first = TestApp::spawn_with(Scaled, &[SELDOM]).await;
    let second = first.another_instance().await;
    first.registered("ada@example.com").await;
    let mut stream = second.service().stream(None).await;
    stream.up_to_head().await;
    for _ in 0..3 {
        end_a_session(first.address).await;
        let told = timeout(PROMISED, stream.entry()).await;
        told.expect("it does not wait for a poll");
    }
}

#[tokio::test]
async fn without_redis_it_comes_by_poll() {
    let (to_redis, url) = FaultProxy::before_url(&REDIS.url);
    let first = TestApp::spawn_with(Scaled, &[("REDIS_URL", &url)]).await;
    let second = first.another_instance().await;
    first.registered("ada@example.com").await;
    let mut stream = second.service().stream(None).await;
    to_redis.set(Mode::Cut(Ending::Reset));
    for _ in 0..3 {
        end_a_session(first.address).await;
        let told = timeout(PROMISED, stream.entry()).await;
        told.expect("the poll brings it");
    }
}

#[tokio::test]
async fn nothing_is_vouched_for_longer_than_the_view_is_believed() {
    let settings = [
        ("GATELODGE_SESSION__LEASE", "2s"),
        ("GATELODGE_SESSION__LEDGER_GRACE", "4s"),
    ];
    let app = TestApp::spawn_with(Scaled, &settings).await;
    let mut stream = app.service().stream(None).await;
    stream.up_to_head().await;
    let silent_since = Instant::now();
    app.allow_ledger(false).await;
    let (mut heads, mut until) = (0, silent_since);
    while let Ok(head) = timeout(Duration::from_secs(3), stream.next_of("head")).await {
        let lasts = head.data["lasts_ms"].as_u64().unwrap();
        assert!(lasts <= 2000, "{lasts}");
        until = Instant::now() + Duration::from_millis(lasts);
        heads += 1;
    }
    assert!(
        heads >= 2,
        "for the grace, Redis proves that there is nothing else"
    );
    let believed = until - silent_since;
    assert!(believed < Duration::from_millis(5500), "{believed:?}");
    app.service()
        .ask("")
        .await
        .assert_problem(503, "unavailable");

    app.allow_ledger(true).await;
    let again = timeout(RECOVERY, stream.next_of("head")).await;
    again.expect("the view is believed again");
}

/// Somebody who asks for a stream and does not read it, from when nothing more gets to
/// them on.
async fn stalled(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /api/revocations?after=0 HTTP/1.1\r\nhost: localhost\r\n\
         accept: text/event-stream\r\nauthorization: Bearer {CREDENTIAL}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut unread = 0;
    within(RECOVERY, "nothing gets through any more", async || {
        sleep(Duration::from_millis(300)).await;
        let before = std::mem::replace(&mut unread, ioctl_fionread(&socket).unwrap());
        unread > 0 && unread == before
    })
    .await;
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_when_the_instance_is_to_and_keep_it_from_nothing() {
    let settings = [("GATELODGE_SERVER__SHUTDOWN_GRACE", "12s")];
    let mut app = TestApp::spawn_with(Scaled, &settings).await;
    for _ in 0..20 {
        app.change_ledger(MANY).await;
    }
    let _stalled = stalled(app.address).await;
    let mut stream = app.service().stream(Some("50000")).await;
    stream.up_to_head().await;

    let told_at = Instant::now();
    app.tell(Stop::Drain);
    timeout(Duration::from_secs(1), stream.ends())
        .await
        .expect("at once, so that the client finds another instance");
    app.browser().whoami().await.assert_refused();
    let late = app.service().try_stream(None).await.err().unwrap();
    late.assert_problem(503, "unavailable");
    app.ended().await;
    let took = told_at.elapsed();
    assert!(took >= Duration::from_secs(3), "{took:?}: the drain");
    assert!(took < Duration::from_secs(6), "{took:?}");
}
