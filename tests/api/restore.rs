//! A ledger that is restored from a backup, under the running instances.

use std::time::Duration;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::Stack::Scaled;
use crate::support::servers::POSTGRES;
use crate::support::{Browser, TestApp, within};

/// From when the ledger takes writes again.
const RECOVERY: Duration = Duration::from_secs(10);

pub struct Ledger {
    name: String,
    admin: PgConnection,
}

impl Ledger {
    pub async fn of(app: &TestApp) -> Self {
        let (_, name) = app.database_url().rsplit_once('/').unwrap();
        Self {
            name: name.to_owned(),
            admin: PgConnection::connect(&POSTGRES.url).await.unwrap(),
        }
    }

    /// Nobody is connected meanwhile.
    async fn alone(&mut self, statements: &[String]) {
        let name = &self.name;
        let close = [
            format!("alter database {name} allow_connections false"),
            format!(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
            ),
        ];
        for statement in close.iter().chain(statements) {
            // The server may take a moment to see the others gone.
            within(RECOVERY, statement, async || {
                let statement = sqlx::raw_sql(AssertSqlSafe(statement.clone()));
                statement.execute(&mut self.admin).await.is_ok()
            })
            .await;
        }
    }

    pub async fn back_up(&mut self) {
        let name = self.name.clone();
        self.alone(&[
            format!("create database {name}_backup template {name}"),
            format!("alter database {name} allow_connections true"),
        ])
        .await;
    }

    pub async fn restore(&mut self) {
        let name = self.name.clone();
        self.alone(&[
            format!("drop database {name}"),
            format!("alter database {name}_backup rename to {name}"),
            format!("alter database {name} allow_connections true"),
        ])
        .await;
    }
}

/// Waits until the ledger itself says so again.
async fn says(app: &TestApp, sql: &'static str) {
    within(RECOVERY, sql, async || {
        let Ok(mut ledger) = PgConnection::connect(app.database_url()).await else {
            return false;
        };
        let answer = sqlx::query_scalar::<_, bool>(sql);
        answer.fetch_one(&mut ledger).await.is_ok_and(|is_so| is_so)
    })
    .await;
}

/// Waits until the service knows; until then it must not say yes.
async fn is_refused_throughout(browser: &mut Browser) {
    within(RECOVERY, "it is refused", async || {
        let answer = browser.whoami().await;
        assert!(matches!(answer.status, 401 | 503), "{}", answer.text);
        answer.status == 401
    })
    .await;
}

async fn is_accepted_again(browser: &mut Browser) {
    within(RECOVERY, "it is accepted", async || {
        browser.whoami().await.status == 200
    })
    .await;
}

#[tokio::test]
async fn what_a_restored_ledger_has_lost_is_ended_again() {
    let first = TestApp::spawn(Scaled).await;
    let second = first.another_instance().await;
    let mut ada = first.registered("ada@example.com").await;
    let mut lost = first.logged_in("ada@example.com").await;
    let mut bob = first.registered("bob@example.com").await;
    let mut bobs_other = first.logged_in("bob@example.com").await;
    let mut ledger = Ledger::of(&first).await;
    ledger.back_up().await;

    is_accepted_again(&mut ada).await;
    let id = lost.session_id().await;
    within(RECOVERY, "it is ended", async || {
        matches!(ada.revoke_session(&id).await.status, 204 | 404)
    })
    .await;
    assert_eq!(bob.revoke_others().await.status, 200);
    lost.whoami().await.assert_refused();
    ledger.restore().await;

    for instance in [&first, &second] {
        is_refused_throughout(&mut lost.at(instance.address)).await;
        is_refused_throughout(&mut bobs_other.at(instance.address)).await;
        is_accepted_again(&mut ada.at(instance.address)).await;
        is_accepted_again(&mut bob.at(instance.address)).await;
    }
    lost.whoami().await.assert_refused();
    bobs_other.whoami().await.assert_refused();
    // In the ledger itself: whoever comes later knows it from there.
    says(
        &first,
        "select count(distinct kind) = 2 from revocations where number > 0",
    )
    .await;
    let third = first.another_instance().await;
    lost.at(third.address).whoami().await.assert_refused();
    bobs_other.at(third.address).whoami().await.assert_refused();
    assert_eq!(bob.at(third.address).whoami().await.status, 200);
}

#[tokio::test]
async fn everyones_end_outlives_a_restore() {
    let app = TestApp::spawn(Scaled).await;
    let mut ada = app.registered("ada@example.com").await;
    let mut root = app.admin().await;
    let mut ledger = Ledger::of(&app).await;
    ledger.back_up().await;
    is_accepted_again(&mut ada).await;
    is_accepted_again(&mut root).await;
    let body = json!({ "filter": { "everyone": true } });
    let ended = root.post("/api/admin/sessions/revoke", &body).await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    ledger.restore().await;

    is_refused_throughout(&mut ada).await;
    is_refused_throughout(&mut root).await;
    says(&app, "select everyone_ended > 0 from revocation_head").await;
    let mut again = app.logged_in("ada@example.com").await;
    is_accepted_again(&mut again).await;
    ada.whoami().await.assert_refused();
}

#[tokio::test]
async fn who_follows_a_log_that_was_set_back_is_told_to_begin_again() {
    let app = TestApp::spawn(Scaled).await;
    let service = app.service();
    let mut ada = app.registered("ada@example.com").await;
    let mut lost = app.logged_in("ada@example.com").await;
    let lost_id = lost.session_id().await;
    let mut ledger = Ledger::of(&app).await;
    ledger.back_up().await;
    is_accepted_again(&mut ada).await;
    let mut stream = service.stream(None).await;
    assert_eq!(lost.log_out().await.status, 204);
    let ended = stream.next_of("entry").await;
    let position = ended.id.unwrap();
    ledger.restore().await;

    let closed = tokio::time::timeout(RECOVERY, stream.ends()).await;
    closed.expect("nobody knows what to believe");
    // Meanwhile, there may be no answer.
    within(RECOVERY, "it is told", async || {
        let answer = service.ask(&format!("?after={position}")).await;
        assert!(matches!(answer.status, 410 | 503), "{}", answer.text);
        answer.status == 410
    })
    .await;
    let answer = service.try_stream(Some(&position)).await.err();
    assert!(matches!(answer.unwrap().status, 410 | 503));
    let mut again = None;
    within(RECOVERY, "a stream begins again", async || {
        again = service.try_stream(None).await.ok();
        again.is_some()
    })
    .await;
    // Ended again, by another entry.
    let entry = again.unwrap().next_of("entry").await;
    assert_eq!(entry.data["session"], lost_id);
    assert_ne!(entry.id.as_ref(), Some(&position));
    let answer = service.try_stream(Some(&position)).await.err();
    answer.unwrap().assert_problem(410, "unknown_position");
}
