use std::time::Duration;

use futures_util::future::join_all;
use gatelodge::domain::attempt::{Budget, BudgetKey, Limits, Outcome, UNDER_WAY};
use gatelodge::domain::audit::{Action, EventFilter};
use gatelodge::domain::email::Email;
use gatelodge::domain::page::{Limit, PageOf};
use gatelodge::domain::time::Timestamp;
use gatelodge::store::ledger::{Ledger, Proof, Reserved};
use rstest::rstest;

use super::Backend::{self, Postgres, Sqlite};
use super::{NOW, act, draft, open, registered, verified};

const LIMITS: Limits = Limits {
    per_account: 3,
    per_address: 5,
    window: Duration::from_mins(15),
};

fn budgets(email: &str) -> Vec<Budget> {
    let email = Email::parse(email).unwrap();
    LIMITS.budgets(&email, None, Some("203.0.113.9".parse().unwrap()))
}

async fn reserve(ledger: &Ledger, email: &str, now: Timestamp) -> Reserved {
    let reserved = ledger.reserve_attempt(&budgets(email), now).await;
    reserved.unwrap()
}

async fn settle(ledger: &Ledger, email: &str, outcome: Outcome) {
    let budgets = budgets(email);
    let settled = ledger.settle_attempt(&budgets, outcome, None, act(), None);
    settled.await.unwrap();
}

/// Tries at that time; it may, and goes wrong.
async fn fail(ledger: &Ledger, email: &str, now: Timestamp) {
    assert_eq!(reserve(ledger, email, now).await, Reserved::Yes);
    settle(ledger, email, Outcome::Wrong).await;
}

fn until(since: Timestamp) -> Reserved {
    Reserved::Exhausted {
        until: since + LIMITS.window,
    }
}

#[rstest]
#[tokio::test]
async fn no_more_are_under_way_than_may_go_wrong(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let all = join_all((0..20).map(|_| reserve(&ledger, "ada@example.com", NOW))).await;
    let made = all.iter().filter(|reserved| **reserved == Reserved::Yes);
    assert_eq!(made.count(), 3, "{all:?}");
    assert!(!all.contains(&until(NOW)), "none has gone wrong yet");
    for _ in 0..3 {
        settle(&ledger, "ada@example.com", Outcome::Wrong).await;
    }
    assert_eq!(reserve(&ledger, "ada@example.com", NOW).await, until(NOW));
}

#[rstest]
#[tokio::test]
async fn each_wrong_one_begins_the_window_anew(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let minute = |minute| NOW + Duration::from_mins(minute);
    fail(&ledger, "ada@example.com", NOW).await;
    fail(&ledger, "ada@example.com", minute(14)).await;
    fail(&ledger, "ada@example.com", minute(28)).await;
    for now in [28, 42] {
        let refused = reserve(&ledger, "ada@example.com", minute(now)).await;
        assert_eq!(refused, until(minute(28)));
    }
    fail(&ledger, "ada@example.com", minute(43)).await;
    fail(&ledger, "ada@example.com", minute(43)).await;
}

#[rstest]
#[tokio::test]
async fn a_right_one_ends_the_row_but_not_what_is_under_way(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let ledger = open(backend).await;
    let (_, ada) = registered(&ledger, "ada@example.com").await;
    fail(&ledger, "ada@example.com", NOW).await;
    for _ in 0..2 {
        let made = reserve(&ledger, "ada@example.com", NOW).await;
        assert_eq!(made, Reserved::Yes);
    }
    let budgets = budgets("ada@example.com");
    let right = Proof {
        budgets: &budgets,
        ..verified(ada.user.id)
    };
    let draft = draft();
    let issue = ledger.issue_session(right, &draft, None, None, act());
    assert!(issue.await.unwrap().is_some());
    // One of the three is under way.
    fail(&ledger, "ada@example.com", NOW).await;
    assert_eq!(
        reserve(&ledger, "ada@example.com", NOW).await,
        Reserved::Yes
    );
    let crowded = reserve(&ledger, "ada@example.com", NOW).await;
    assert_eq!(crowded, Reserved::Crowded);
    settle(&ledger, "ada@example.com", Outcome::Untried).await;
    assert_eq!(
        reserve(&ledger, "ada@example.com", NOW).await,
        Reserved::Yes
    );
}

#[rstest]
#[tokio::test]
async fn what_is_never_settled_is_given_up_for_lost(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let ada = Email::parse("ada@example.com").unwrap();
    let budgets = LIMITS.budgets(&ada, None, None);
    let reserve = async |now| ledger.reserve_attempt(&budgets, now).await.unwrap();
    for _ in 0..3 {
        assert_eq!(reserve(NOW).await, Reserved::Yes);
    }
    assert_eq!(reserve(NOW + UNDER_WAY / 2).await, Reserved::Crowded);
    let later = NOW + UNDER_WAY;
    for _ in 0..3 {
        assert_eq!(reserve(later).await, Reserved::Yes);
        let settled = ledger.settle_attempt(&budgets, Outcome::Wrong, None, act(), None);
        settled.await.unwrap();
    }
    assert_eq!(reserve(later).await, until(later));
}

#[rstest]
#[tokio::test]
async fn those_of_an_address_are_counted_whatever_the_account(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let ledger = open(backend).await;
    let minute = |minute| NOW + Duration::from_mins(minute);
    for n in 0..5 {
        fail(&ledger, &format!("user{n}@example.com"), minute(n)).await;
    }
    assert_eq!(
        reserve(&ledger, "ada@example.com", minute(5)).await,
        until(NOW),
        "that window does not begin anew"
    );
    let account = BudgetKey::of_account(&Email::parse("ada@example.com").unwrap());
    let count = ledger.count_attempts(account, minute(5)).await.unwrap();
    assert_eq!(count, None, "it leaves no trace at the account");
    fail(&ledger, "ada@example.com", minute(15)).await;
}

#[rstest]
#[tokio::test]
async fn what_is_cleared_or_expired_is_forgotten(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    let key = BudgetKey::of_account(&Email::parse("ada@example.com").unwrap());
    for _ in 0..3 {
        fail(&ledger, "ada@example.com", NOW).await;
    }
    let count = ledger.count_attempts(key, NOW).await.unwrap();
    assert_eq!(count.map(|count| count.failures), Some(3));
    ledger.clear_attempts(key, None, act()).await.unwrap();
    assert_eq!(ledger.count_attempts(key, NOW).await.unwrap(), None);
    settle(&ledger, "ada@example.com", Outcome::Wrong).await;
    assert_eq!(ledger.count_attempts(key, NOW).await.unwrap(), None);
    fail(&ledger, "ada@example.com", NOW).await;
    let later = NOW + LIMITS.window;
    assert_eq!(ledger.count_attempts(key, later).await.unwrap(), None);
    let deleted = ledger.delete_expired_attempts(later, 100).await.unwrap();
    assert_eq!(deleted, 2, "of the account and of the address");
    assert_eq!(ledger.count_attempts(key, NOW).await.unwrap(), None);
}

#[rstest]
#[tokio::test]
async fn there_is_one_event_when_a_budget_is_used_up(#[values(Postgres, Sqlite)] backend: Backend) {
    let ledger = open(backend).await;
    for _ in 0..3 {
        fail(&ledger, "ada@example.com", NOW).await;
    }
    for _ in 0..3 {
        assert_eq!(reserve(&ledger, "ada@example.com", NOW).await, until(NOW));
    }
    let filter = EventFilter {
        action: Some(Action::Throttled),
        ..EventFilter::default()
    };
    let events = ledger.list_events(filter, PageOf::first(Limit::MAX)).await;
    let details: Vec<_> = events
        .unwrap()
        .items
        .into_iter()
        .map(|it| it.detail)
        .collect();
    assert_eq!(details, [Some("account".to_owned())]);
}
