//! What becomes of PostgreSQL's connections when the network or the server fails.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gatelodge::domain::audit::Action;
use gatelodge::domain::digest::TokenDigest;
use gatelodge::domain::id::UserId;
use gatelodge::store::Unavailable;
use gatelodge::store::ledger::Ledger;
use rstest::rstest;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{TestLedger, act, registered};
use crate::support::app::TestDatabase;
use crate::support::proxy::{Ending, FaultProxy, Mode, NewFlows};
use crate::support::{eventually, within};

const CONNECTIONS: u32 = 5;
const CALLERS: usize = 20;
/// What the ledger promises of each call, and what a busy machine adds to it.
const DEADLINE: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_millis(500);
/// A connection that was idle for longer is tried before it is used.
const TRUSTED: Duration = Duration::from_secs(1);

struct Place {
    ledger: TestLedger,
    proxy: FaultProxy,
    database: String,
    user: UserId,
    digest: TokenDigest,
}

/// A ledger behind a network that can be broken, with all its connections open.
async fn open(connections: u32) -> Place {
    let database = TestDatabase::create().await;
    let (proxy, url) = FaultProxy::before_url(&database.url);
    let ledger = Ledger::connect(&url, connections).await.unwrap();
    ledger.migrate().await.unwrap();
    let (draft, issue) = registered(&ledger, "ada@example.com").await;
    let place = Place {
        proxy,
        database: database.url.clone(),
        user: issue.user.id,
        digest: draft.digest,
        ledger: TestLedger {
            ledger,
            _data: tempfile::tempdir().unwrap(),
            _database: Some(database),
        },
    };
    assert_eq!(place.failures_of_many().await, 0);
    place
}

impl Place {
    async fn read(&self) -> Result<(), Unavailable> {
        let found = self.ledger.find_session(&self.digest).await?;
        assert!(found.is_some());
        Ok(())
    }

    async fn write(&self) -> Result<(), Unavailable> {
        let event = act().did(Action::LoggedIn, self.user, None);
        self.ledger.record(&event).await
    }

    async fn transact(&self) -> Result<(), Unavailable> {
        self.ledger.log_out(nobody().into(), act()).await.map(drop)
    }

    /// How many of many calls at once fail, that read or begin a transaction; none
    /// takes longer than it may.
    async fn failures_of_many(&self) -> usize {
        let call = async |number: usize| {
            let started = Instant::now();
            let done = match number % 2 {
                0 => self.read().await,
                _ => self.transact().await,
            };
            assert!(started.elapsed() < DEADLINE + SLACK, "{done:?}");
            done.is_err()
        };
        let failed = join_all((0..CALLERS).map(call)).await;
        failed.into_iter().filter(|failed| *failed).count()
    }

    async fn run(&self, statement: &str) {
        let mut admin = PgConnection::connect(&self.database).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut admin)
            .await
            .unwrap();
    }

    /// The backends that serve the ledger.
    async fn backends(&self) -> BTreeSet<i32> {
        let mut admin = PgConnection::connect(&self.database).await.unwrap();
        sqlx::query_scalar(
            "select pid from pg_stat_activity \
             where datname = current_database() and application_name = 'gatelodge'",
        )
        .fetch_all(&mut admin)
        .await
        .unwrap()
        .into_iter()
        .collect()
    }
}

fn nobody() -> TokenDigest {
    TokenDigest::from_bytes([0; 32])
}

const TERMINATE: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
    where datname = current_database() and application_name = 'gatelodge'";

#[tokio::test]
async fn connections_that_fall_silent_while_in_use_are_replaced() {
    let place = open(CONNECTIONS).await;
    place.proxy.set(Mode::Silent(NewFlows::Pass));
    let reads = join_all((0..CONNECTIONS).map(|_| place.read())).await;
    assert!(reads.iter().all(Result::is_err));
    let limit = Duration::from_secs(3);
    within(limit, "all calls succeed", async || {
        place.failures_of_many().await == 0
    })
    .await;
}

#[tokio::test]
async fn connections_that_fell_silent_while_idle_fail_no_call() {
    let place = open(CONNECTIONS).await;
    place.proxy.set(Mode::Silent(NewFlows::Pass));
    tokio::time::sleep(TRUSTED).await;
    place.read().await.unwrap();
    assert_eq!(place.failures_of_many().await, 0);
}

#[rstest]
#[tokio::test]
async fn connections_that_are_cut_fail_no_read_and_no_transaction(
    #[values(Ending::Reset, Ending::Closed)] ending: Ending,
) {
    let place = open(CONNECTIONS).await;
    place.proxy.set(Mode::Cut(ending));
    eventually("all are cut", async || place.backends().await.is_empty()).await;
    place.proxy.pass();
    assert_eq!(place.failures_of_many().await, 0);
}

#[tokio::test]
async fn backends_that_are_terminated_cost_no_more_than_one_write() {
    let place = open(CONNECTIONS).await;
    place.run(TERMINATE).await;
    assert_eq!(place.failures_of_many().await, 0);

    place.run(TERMINATE).await;
    let mut failures = 0;
    for _ in 0..=CONNECTIONS {
        failures += usize::from(place.write().await.is_err());
    }
    assert!(failures <= 1, "{failures}");
}

#[tokio::test]
async fn while_nobody_reaches_the_server_calls_end_in_time_and_later_succeed() {
    let place = open(CONNECTIONS).await;
    place.proxy.silence();
    for _ in 0..2 {
        assert_eq!(place.failures_of_many().await, CALLERS);
    }
    place.proxy.pass();
    let limit = Duration::from_secs(3);
    within(limit, "all calls succeed", async || {
        place.failures_of_many().await == 0
    })
    .await;
}

/// As a primary that was demoted and goes on; what it says may be out of date.
#[tokio::test]
async fn a_server_that_takes_no_writes_is_not_read_from() {
    let place = open(CONNECTIONS).await;
    let name = place.database.rsplit_once('/').unwrap().1;
    let set = format!("alter database {name} set default_transaction_read_only = on");
    place.run(&set).await;
    place.run(TERMINATE).await;
    assert_eq!(place.failures_of_many().await, CALLERS);
    place
        .run(&format!(
            "set transaction_read_only = off; \
             alter database {name} reset default_transaction_read_only"
        ))
        .await;
    assert_eq!(place.failures_of_many().await, 0);
}

/// The server says so by a trigger here: a session that is open cannot be made to
/// read only from outside, unless all of the server's are.
#[tokio::test]
async fn one_write_refused_as_read_only_drops_all_connections() {
    let place = open(CONNECTIONS).await;
    place
        .run(
            "create function demoted() returns trigger language plpgsql as \
             $$ begin raise sqlstate '25006'; end $$; \
             create trigger demoted before insert on events execute function demoted()",
        )
        .await;
    let before = place.backends().await;
    assert_eq!(before.len(), CONNECTIONS as usize);
    place.write().await.unwrap_err();
    place.read().await.unwrap();
    eventually("all old connections are closed", async || {
        place.backends().await.is_disjoint(&before)
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_undone_and_leaves_its_place_to_the_next() {
    const LOCK: &str = "select from users for update nowait";
    let place = open(1).await;
    let mut other = PgConnection::connect(&place.database).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::query(LOCK).execute(&mut *lock).await.unwrap();
    let waits = place.ledger.revoke_all_sessions(place.user, None, act());
    tokio::time::timeout(DEADLINE / 10, waits)
        .await
        .unwrap_err();
    let started = Instant::now();
    place.read().await.unwrap();
    assert!(started.elapsed() < DEADLINE / 2);

    lock.rollback().await.unwrap();
    within(DEADLINE / 2, "its locks are free", async || {
        sqlx::query(LOCK).execute(&mut other).await.is_ok()
    })
    .await;
}

/// A server that could compile it would take some tenths of a second each time: it takes
/// tables that were never analysed for large ones. The ledger's own connection says so, by
/// a trigger here.
#[tokio::test]
async fn the_server_compiles_no_statement() {
    let place = open(1).await;
    let name = place.database.rsplit_once('/').unwrap().1;
    place
        .run(&format!(
            "alter database {name} set jit = on; \
             create function compiling() returns trigger language plpgsql as \
             $$ begin \
                 if current_setting('jit')::boolean then raise 'compiled'; end if; \
                 return new; \
             end $$; \
             create trigger compiling before insert on events execute function compiling()",
        ))
        .await;
    place.run(TERMINATE).await;
    place.read().await.unwrap();
    place.write().await.unwrap();
}
